/** How a message travels; `memory` stays inside the process. */
export type Protocol = 'udp' | 'tcp' | 'tls' | 'memory';
