// Refusals of the admin listener: problem details as JSON (RFC 9457).

/** Why a request is refused. `detail` is a sentence for a person; it never repeats what was sent. */
export interface Problem {
  readonly status: keyof typeof TITLES;
  readonly detail: string;
  /** The field of the body that is wrong, as a path with dots. */
  readonly field?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Every status of a problem, with its name in RFC 9110 or, for 431, in RFC 6585. */
export const TITLES = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  411: "Length Required",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
} as const;

/** For what needs the firewall while it has not started yet. */
export const STARTING: Problem = {
  status: 503,
  detail: "the server is starting",
  headers: { "retry-after": "1" },
};

/** The response for a problem. */
export function problemResponse({ status, detail, field, headers = {} }: Problem): Response {
  const body = { title: TITLES[status], status, detail, field };
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

/** Whether a result is a problem. */
export function isProblem<Value extends object>(value: Value | Problem): value is Problem {
  return "status" in value && "detail" in value;
}
