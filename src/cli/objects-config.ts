import type { Finding } from '../base/index.ts';
import { invalid, isObject, unknownMember } from './config-finding.ts';

const EXAMPLE =
  "Write objects: { folder: '.varve/objects' } or objects: { s3: { bucket: 'NAME', endpoint: 'https://HOST', credentialsFrom: ['KEY_ID_VARIABLE', 'SECRET_VARIABLE'] } }.";

const S3_MEMBERS: readonly string[] = ['bucket', 'region', 'endpoint', 'prefix', 'credentialsFrom'];

/** What is wrong in the `objects` of a configuration. No finding shows a value, which may be a secret in the wrong place. */
export function checkObjects(objects: unknown, filePath: string): readonly Finding[] {
  if (!isObject(objects) || Object.keys(objects).length !== 1) {
    return [invalid(filePath, 'objects is neither a folder nor s3', EXAMPLE)];
  }
  const { folder, s3 } = objects;
  if (typeof folder === 'string' && folder !== '') return [];
  return isObject(s3)
    ? checkS3(s3, filePath)
    : [invalid(filePath, 'objects is neither a folder nor s3', EXAMPLE)];
}

function checkS3(s3: Readonly<Record<string, unknown>>, filePath: string): readonly Finding[] {
  const { bucket, region, endpoint, prefix, credentialsFrom } = s3;
  const unknown = Object.keys(s3).filter((name) => !S3_MEMBERS.includes(name));
  const findings = unknown.map((name) =>
    isSecretName(name)
      ? secretInside(filePath, name)
      : unknownMember(filePath, name, 'objects.s3', S3_MEMBERS),
  );
  const is = (holds: boolean, reason: string, hint: string): void => {
    if (!holds) findings.push(invalid(filePath, reason, hint));
  };
  is(isText(bucket), 'objects.s3 names no bucket', "Write bucket: 'NAME'.");
  is(region === undefined || isText(region), 'objects.s3.region is no text', "Write region: 'eu-central-1'.");
  is(
    prefix === undefined || isPrefix(prefix),
    'objects.s3.prefix is no prefix',
    "Write prefix: 'lab/mice', without a slash at either end.",
  );
  is(
    credentialsFrom === undefined || areNames(credentialsFrom),
    'objects.s3.credentialsFrom does not name two or three environment variables',
    "Write credentialsFrom: ['S3_KEY_ID', 'S3_SECRET'], with the names of the variables and not what they hold.",
  );
  if (endpoint !== undefined) findings.push(...checkEndpoint(endpoint, filePath));
  return findings;
}

function checkEndpoint(endpoint: unknown, filePath: string): readonly Finding[] {
  const hint = "Write endpoint: 'https://HOST:PORT'.";
  const url = typeof endpoint === 'string' ? URL.parse(endpoint) : null;
  if (url === null || !/^https?:$/u.test(url.protocol)) {
    return [invalid(filePath, 'objects.s3.endpoint is no address of a server', hint)];
  }
  if (url.username === '' && url.password === '') return [];
  return [
    invalid(
      filePath,
      'objects.s3.endpoint holds credentials',
      'Put them into environment variables and name those in credentialsFrom.',
    ),
  ];
}

function isSecretName(name: string): boolean {
  return /key|secret|token|password|^credentials$/iu.test(name);
}

function secretInside(filePath: string, name: string): Finding {
  return invalid(
    filePath,
    `objects.s3.${name} would hold a secret`,
    "Put it into an environment variable and write credentialsFrom: ['KEY_ID_VARIABLE', 'SECRET_VARIABLE'].",
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isPrefix(value: unknown): boolean {
  return typeof value === 'string' && !value.startsWith('/') && !value.endsWith('/');
}

function areNames(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    (value.length === 2 || value.length === 3) &&
    value.every((name) => typeof name === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/u.test(name))
  );
}
