// Finds public keys that anybody could sign for, though they are well formed.

/** The fewest bits of an RSA modulus (RFC 7518 §3.3). */
export const MIN_RSA_BITS = 2048;

/** The most bits of an RSA modulus: the runtime takes no larger one. */
export const MAX_RSA_BITS = 4096;

/** The usual public exponent, and the smallest that is accepted (FIPS 186-5 §5.1: over 2^16). */
const USUAL_EXPONENT = 65537n;

/** Exponents must be below this: a huge one makes each verification slow. */
const EXPONENT_LIMIT = 2n ** 32n;

/** Made for the first RSA key: a start has no time for it. */
let smallPrimes: readonly SmallPrime[] | undefined;

interface SmallPrime {
  readonly prime: bigint;
  /** The powers of 65537 modulo the prime, to which the moduli of a ROCA generator are equal. */
  readonly powers: ReadonlySet<bigint>;
}

/** What is wrong with the numbers of an RSA key, big-endian; undefined for a sound one. */
export function rsaFault(modulus: Uint8Array, exponent: Uint8Array): string | undefined {
  const n = toInteger(modulus);
  const e = toInteger(exponent);
  const bits = n.toString(2).length;
  if (bits < MIN_RSA_BITS) return `its modulus has ${bits} bits, at least ${MIN_RSA_BITS} are needed`;
  if (bits > MAX_RSA_BITS) return `its modulus has ${bits} bits, at most ${MAX_RSA_BITS} are accepted`;
  if (e < USUAL_EXPONENT || e % 2n === 0n || e >= EXPONENT_LIMIT) {
    return `its public exponent is not sound (it must be odd, from ${USUAL_EXPONENT} to ${
      EXPONENT_LIMIT - 1n
    })`;
  }
  smallPrimes ??= primesUpTo(167).map((prime) => ({ prime, powers: powersOf(USUAL_EXPONENT, prime) }));
  if (n % 2n === 0n || smallPrimes.some(({ prime }) => n % prime === 0n)) {
    return "its modulus has a small factor";
  }
  if (smallPrimes.every(({ prime, powers }) => powers.has(n % prime))) {
    return "its modulus has the ROCA weakness (CVE-2017-15361): its private key can be computed";
  }
  return undefined;
}

/** 2^255 - 19: the field of Ed25519. */
const FIELD = 2n ** 255n - 19n;

/**
 * The y coordinates of points for which a signature can be made without any key: those of small order (RFC 8032 §5.1.7,
 * where an all-zero key is one of order 4 and the identity has y = 1), and the base point itself.
 */
const OPEN_POINTS: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  FIELD - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  FIELD - 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x6666666666666666666666666666666666666666666666666666666666666658n,
]);

/** What is wrong with an Ed25519 point, as RFC 8032 §5.1.2 encodes it; undefined for a sound one. */
export function ed25519Fault(point: Uint8Array): string | undefined {
  if (point.length !== 32) return "it is not a valid OKP key";
  // The highest bit is the sign of x.
  const y = toInteger(point.toReversed()) % 2n ** 255n;
  if (y >= FIELD) return "its point is not in its only form";
  return OPEN_POINTS.has(y) ? "its point is degenerate: everybody can sign for it" : undefined;
}

/** The x coordinates of the curves' base points (FIPS 186-4 §D.1.2): the private key of such a point is 1. */
const BASE_POINTS: Readonly<Record<string, bigint>> = {
  "P-256": 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  "P-384":
    0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
  "P-521":
    0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
};

/**
 * What is wrong with the x coordinate, big-endian, of a point that is on its curve; undefined for a sound one. These curves
 * have no points of small order, and the point at infinity can't be written as a JWK.
 */
export function ecFault(curve: string, x: Uint8Array): string | undefined {
  return toInteger(x) === BASE_POINTS[curve]
    ? "its point is degenerate: everybody can sign for it"
    : undefined;
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x0${bytes.toHex()}`);
}

function primesUpTo(limit: number): readonly bigint[] {
  const primes: bigint[] = [];
  for (let number = 3n; number <= limit; number += 2n) {
    if (primes.every((prime) => number % prime !== 0n)) primes.push(number);
  }
  return primes;
}

function powersOf(base: bigint, prime: bigint): ReadonlySet<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1n; !powers.has(power); power = power * base % prime) powers.add(power);
  return powers;
}
