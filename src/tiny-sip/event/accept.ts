import type { SipRequest } from '../message/message.ts';

/**
 * Which of our types the sender takes, in our order. Without Accept it takes the first: the package's default
 * (RFC 6665 §8.3.2, RFC 3856 §6.5). `q=0` refuses.
 */
export function acceptable(request: SipRequest, ours: readonly string[]): readonly string[] {
  if (!request.has('Accept')) return ours.slice(0, 1);
  const taken: string[] = [];
  const refused = new Set<string>();
  for (const value of request.all('Accept')) {
    const [range = '', ...params] = value.split(';').map((part) => part.trim().toLowerCase());
    if (range === '') continue;
    if (params.some((param) => /^q\s*=\s*0(?:\.0*)?$/.test(param))) refused.add(range);
    else taken.push(range);
  }
  return ours.filter((type) => !refused.has(type) && taken.some((range) => covers(range, type)));
}

function covers(range: string, type: string): boolean {
  if (range === '*/*' || range === type) return true;
  return range.endsWith('/*') && type.startsWith(range.slice(0, -1));
}
