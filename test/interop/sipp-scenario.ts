/** Scenario files of SIPp, put together step by step. `[…]` are its own keywords. */

/** Sends and receives in order. */
export function scenario(...steps: readonly string[]): string {
  return `<?xml version="1.0"?><scenario name="test">${steps.join('\n')}</scenario>`;
}

export function send(lines: readonly string[], body = ''): string {
  const text = [...lines, 'Content-Length: [len]', '', body].join('\n');
  return `<send><![CDATA[\n${text}\n]]></send>`;
}

/** A request out of any dialog, to the service under test. */
export function request(method: string, branch: string, more: readonly string[] = [], body = ''): string {
  return send(
    [
      `${method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0`,
      `Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=${branch}`,
      'Max-Forwards: 70',
      'From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]',
      'To: <sip:[service]@[remote_ip]:[remote_port]>',
      'Call-ID: [call_id]',
      `CSeq: 1 ${method}`,
      ...more,
    ],
    body,
  );
}
