// Content negotiation: how well a media type fits a request (RFC 9110 §12.5.1).

/** How well a media type fits. */
export interface Welcome {
  /** From 0, not at all, to 1. */
  readonly quality: number;
  /** Whether it was named, and not only by a wildcard. */
  readonly isNamed: boolean;
}

/**
 * How well `type` with the parameter `version` fits the header Accept; without that header everything does. The most
 * specific range that fits decides, whatever the order; other parameters of a range are ignored.
 *
 * @param type in lower case: `text/plain`
 */
export function welcomeOf(accept: string | undefined, type: string, version?: string): Welcome {
  if (accept === undefined || accept.trim() === "") return { quality: 1, isNamed: false };
  let best = { quality: 0, isNamed: false };
  let bestRank = -1;
  for (const range of accept.toLowerCase().split(",")) {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim());
    const named = new Map(parameters.map((parameter) => {
      const equals = parameter.indexOf("=");
      return [parameter.slice(0, equals), parameter.slice(equals + 1).replaceAll('"', "")];
    }));
    const asked = named.get("version");
    const isType = name === type;
    if (!isType && name !== "*/*" && name !== `${type.slice(0, type.indexOf("/"))}/*`) continue;
    if (isType && asked !== undefined && asked !== version) continue;
    const rank = isType ? (asked === undefined ? 2 : 3) : name === "*/*" ? 0 : 1;
    if (rank <= bestRank) continue;
    bestRank = rank;
    best = { quality: readQuality(named.get("q")), isNamed: isType };
  }
  return best;
}

/** A weight (RFC 9110 §12.4.2); anything else counts as 1. */
function readQuality(text = "1"): number {
  return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(text) ? Number(text) : 1;
}
