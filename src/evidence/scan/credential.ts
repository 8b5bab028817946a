/**
 * Credentials in the forms that a migration meets: what PostgreSQL's own statements and clients take, and what programs
 * and clusters use. Each is a pattern; what only names a place for a value (`${PASSWORD}`, `%L`) is no credential.
 */
import { fromBase64 } from '../dsse.ts';
import { isPlaceholder, type PatternRule } from './spot.ts';

/** What may stand between two words of SQL. */
const GAP = String.raw`(?:\s|--[^\n]{0,400}\n|/\*[^*]{0,400}\*/){1,200}`;
const MAYBE_GAP = GAP.replace('{1,200}', '{0,200}');
/** The begin of a text constant with its value in group 1 or 2, quotes doubled where it stands inside another one. */
const TEXT = String.raw`(?:(?:[eEnN]|[uU]&)?'{1,4}([^'\n]{1,400})|\$\w{0,30}\$([^$\n]{1,400}))`;

const isValue = (value: string | undefined): boolean => value !== undefined && !isPlaceholder(value.trim());
const hasValue = (match: RegExpExecArray): boolean => isValue(match[1] ?? match[2]);

/** Credentials that are forbidden in every file. */
export const CREDENTIAL_RULES: readonly PatternRule[] = [
  {
    rule: 'role_password',
    pattern: new RegExp(
      String.raw`\b(?:create|alter)${GAP}(?:role|user|group)\b[^;]{0,600}?\bpassword${MAYBE_GAP}${TEXT}`,
      'giu',
    ),
    accepts: hasValue,
  },
  {
    rule: 'option_password',
    pattern: new RegExp(
      String.raw`\boptions\s{0,20}\([^)]{0,400}?\b(?:ssl)?(?:password|secret(?:_access_key)?)"?\s{1,20}${TEXT}`,
      'giu',
    ),
    accepts: hasValue,
  },
  {
    rule: 'subscription_connection',
    pattern: new RegExp(
      String.raw`\b(?:create|alter)${GAP}subscription\b[^;]{0,400}?\bconnection${MAYBE_GAP}${TEXT}`,
      'giu',
    ),
    accepts: hasValue,
  },
  {
    rule: 'connection_keywords',
    pattern: /\bpassword\s{0,5}=\s{0,5}(?:''?([^'\n]{1,200})'|"([^"\n]{1,200})"|([^\s'"`;,&)]{1,200}))/giu,
    accepts: (match, text) =>
      isValue(match[1] ?? match[2] ?? match[3]) &&
      /\b(?:host|hostaddr|port|dbname|sslmode|service|server|data source)\s{0,5}=\s{0,5}[^\s=]/iu.test(
        text.slice(Math.max(0, match.index - 300), match.index + match[0].length + 300),
      ),
  },
  {
    rule: 'url_credentials',
    pattern: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/@:'"<>]{0,100}:([^\s/@'"<>]{1,200})@[^\s/'"<>]{1,200}/giu,
    accepts: hasValue,
  },
  {
    // host:port:database:user:password, as in ~/.pgpass
    rule: 'password_file',
    pattern: /^(?!\s*(?:#|--))[^\s:/]{1,200}:(?:\d{1,5}|\*):[^\s:]{1,100}:[^\s:]{1,100}:([^\s:]{3,200})$/gmu,
    accepts: (match) => isValue(match[1]) && !/^[^:]*:[^:]*:\d+:/u.test(match[0]),
  },
  {
    rule: 'password_verifier',
    pattern: /SCRAM-SHA-256\$\d{1,7}:[A-Za-z0-9+/=]{8,100}\$[A-Za-z0-9+/=]{8,100}|'md5[0-9a-f]{32}'/gu,
  },
  {
    rule: 'jwt',
    pattern: /\b(eyJ[A-Za-z0-9_-]{6,2000})\.eyJ[A-Za-z0-9_-]{6,4000}\.[A-Za-z0-9_-]{8,2000}/gu,
    accepts: ([, header = '']) => isJwtHeader(header),
  },
  {
    // Also those that are too short to be real: a fixture teaches people to write them here.
    rule: 'private_key',
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1[0-9A-Z]{20,80}|\bMC4CAQAwBQYDK2VwBCIEI[A-Za-z0-9+/]{20,60}/gu,
  },
  {
    rule: 'cluster_token',
    pattern:
      /\bSWMTKN-1-[a-z0-9]{20,100}-[a-z0-9]{10,60}|\bK10[0-9a-f]{20,100}::[a-z]{1,20}:[0-9a-f]{8,100}|\bhv[sbr]\.[A-Za-z0-9_-]{20,200}/gu,
  },
  {
    // The bootstrap token of a Kubernetes cluster looks like schema.table, so the word has to stand near it.
    rule: 'cluster_token',
    pattern: /\b(?:token|join)\b[^\n]{0,60}?\b([a-z0-9]{6})\.([a-z0-9]{16})\b/giu,
    accepts: ([, id = '', secret = '']) => /\d/u.test(id + secret) && /[a-z]/u.test(id + secret),
  },
  {
    rule: 'assigned_secret',
    pattern:
      /(?:password|passwd|passphrase|pwd|secret|(?:api|access|secret|private)[_-]?key|(?:auth|access|refresh|bearer)[_-]?token)\\{0,2}["'`]?\s{0,5}(?:=>|:=|[:=])\s{0,5}\\{0,2}(?:"([^"\s][^"\n]{2,200}[^"\s\\])\\{0,2}"|''?([^'\s][^'\n]{2,200}[^'\s])'|([^\s"'`,;)}\]$<{(\\][^\s"'`,;)}\]]{7,200}))/giu,
    accepts: ([, double, single, bare]) =>
      bare === undefined
        ? isValue(double ?? single) && !/\|\||^sha256:/u.test(double ?? single ?? '')
        : isValue(bare) && /\d/u.test(bare) && /[a-z]/iu.test(bare) && !/^(?:sha256:|[\w.]+\()/u.test(bare),
  },
];

/** Ways to a store without a password. A product has no use for one (M42); an authored file may speak of a place. */
export const PLACE_RULES: readonly PatternRule[] = [
  {
    rule: 'connection_url',
    pattern:
      /\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|(?:neo4j|bolt)(?:\+s(?:sc)?)?|sqlserver):\/\/[^\s"'<>\\]{1,300}/giu,
  },
  {
    rule: 'connection_keywords',
    pattern:
      /\b(?:host|hostaddr)\s?=\s?[^\s=]{1,100}\s[^\n]{0,200}\b(?:dbname|sslmode|service|user)\s?=\s?\S/giu,
  },
];

function isJwtHeader(text: string): boolean {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  const bytes = fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='));
  return bytes !== undefined && /"(?:alg|typ)"/u.test(new TextDecoder().decode(bytes));
}
