import type { Random, Timer } from './deps.ts';
import { createUac } from './dialog/uac.ts';
import { createUas } from './dialog/uas.ts';
import type { Stack, StackDeps, StackLimits, StackOptions, TraceListener } from './dialog/user-agent.ts';
import { SipError } from './errors.ts';
import { checkResponse } from './message/check.ts';
import type { SipMessage, SipRequest } from './message/message.ts';
import { serialise } from './message/serialise.ts';
import { parseUri } from './message/uri.ts';
import type { Verdict } from './resolve/health.ts';
import type { Target } from './resolve/target.ts';
import { createClientTransactions } from './transaction/client-table.ts';
import { createServerTransactions } from './transaction/server-table.ts';
import { lifetime, timerDefaults } from './transaction/timers.ts';
import { createAddressBook, localAddresses, localTowards } from './transport/local-address.ts';
import type { Address, Flow, Protocol, Receiver, Transport } from './transport/transport.ts';
import { createWheel } from './wheel.ts';

const limitDefaults: StackLimits = {
  clientTransactions: 20_000,
  serverTransactions: 50_000,
  datagram: 1300,
};

/** How often to look at the addresses of this machine, ms. */
const addressCheck = 5_000;

/** Puts transports, transactions, the two halves of a user agent and one timer wheel together. Starts nothing. */
export function createStack(deps: StackDeps, options: StackOptions): Stack {
  const { clock, log, random } = deps;
  const limits = { ...limitDefaults, ...options.limits };
  const wheel = createWheel(clock);
  const timing = {
    values: { ...timerDefaults, ...options.timers },
    exact: (ms: number, run: () => void): Timer => clock.after(ms, run),
    coarse: (ms: number, run: () => void): Timer => (ms < 1000 ? clock.after(ms, run) : wheel.after(ms, run)),
  };
  const protocols = [...new Set(options.transports.map((transport) => transport.protocol))];
  const book = createAddressBook(deps.addresses ?? localAddresses);
  let watching: Timer | undefined;
  const closeListeners = new Set<(flow: Flow, cause: Error | undefined) => void>();
  const stopListeners = new Set<() => void>();
  const traceListeners = new Set<TraceListener>();
  const addressListeners = new Set<() => void>();
  const totals = { responses: 0, strayResponses: 0, malformed: 0, brokenStreams: 0 };
  let stopped = false;

  const token = createTokens(random);

  const trace = (direction: 'in' | 'out', flow: Flow, message: SipMessage, bytes: Buffer): void => {
    if (traceListeners.size === 0) return;
    for (const listener of traceListeners) listener(direction, flow, message, bytes);
  };

  /** One that speaks the protocol, and to that address if there are several. */
  const transportTo = (protocol: Protocol, host: string): Transport | undefined => {
    let found: Transport | undefined;
    for (const one of options.transports) {
      if (one.protocol !== protocol) continue;
      if (one.reaches?.(host) ?? true) return one;
      found = one;
    }
    return found;
  };

  const flow = (target: Target): Flow => {
    const transport = transportTo(target.protocol, target.host);
    if (stopped) throw new SipError('STOPPED');
    if (transport === undefined) throw new SipError('NO_TRANSPORT', { protocol: target.protocol });
    return transport.connect({ host: target.host, port: target.port }, target.name);
  };

  /** Looks whether flows must be opened anew because this machine's network changed. */
  const watchAddresses = (): void => {
    const told = deps.addresses !== undefined;
    if (stopped || !(told || options.transports.some((one) => one.checkLocal !== undefined))) return;
    watching = timing.coarse(addressCheck, () => void checkAddresses().finally(watchAddresses));
  };

  const checkAddresses = async (): Promise<void> => {
    const { gone, appeared } = book.look();
    const asked = new Map<string, Promise<string | undefined>>();
    const towards = (remote: Address): Promise<string | undefined> => {
      const known = asked.get(remote.host) ?? (deps.towards ?? localTowards)(remote);
      asked.set(remote.host, known);
      return known;
    };
    try {
      for (const transport of options.transports) await transport.checkLocal?.(gone, towards);
    } catch (error) {
      log.error('looking at the own addresses failed', { error: String(error) });
    }
    if (appeared && !stopped) for (const listener of [...addressListeners]) listener();
  };

  const locate = async (uri: string): Promise<readonly Target[]> => {
    if (deps.locator !== undefined) return deps.locator.locate(uri, { protocols });
    return numeric(uri, protocols);
  };

  const report = (target: Target, verdict: Verdict): void => deps.locator?.report?.(target, verdict);

  const compact = options.compact ?? false;
  const pack = (request: SipRequest, by: Flow): Buffer => {
    const bytes = serialise(request, { compact });
    trace('out', by, request, bytes);
    return bytes;
  };
  const clients = createClientTransactions(timing, () => (stopped ? 0 : limits.clientTransactions), pack);
  const servers = createServerTransactions(timing, () => (stopped ? 0 : limits.serverTransactions));
  /** Tables of others that are counted with ours. */
  const tallies = new Set<{ readonly name: string; read(): number }>();

  const uac = createUac({
    clock,
    log,
    transactions: clients,
    compact,
    userAgent: options.userAgent,
    datagram: limits.datagram,
    token,
    flow,
    has: (protocol) => protocols.includes(protocol),
    listening: (on) => transportTo(on.protocol, on.remote.host)?.local.port ?? 0,
    locate,
    report,
    trace,
    after: timing.coarse,
    lifetime: lifetime(timing.values),
    pack,
  });

  const uas = createUas({
    log,
    transactions: servers,
    salt: random.bytes(16),
    compact,
    server: options.userAgent,
    supported: (options.supported ?? []).map((tag) => tag.toLowerCase()),
    proxy: options.proxy ?? false,
    token,
    traced: () => traceListeners.size > 0,
    trace,
    connect(target) {
      try {
        return flow(target);
      } catch {
        return undefined;
      }
    },
    locateReply: async (sentBy) => (await deps.locator?.locateReply?.(sentBy).catch(() => [])) ?? [],
  });

  const receive = (from: Flow, message: SipMessage): void => {
    if (message.kind === 'request') {
      uas.request(message, from);
      return;
    }
    totals.responses += 1;
    if (checkResponse(message) !== undefined) {
      totals.malformed += 1;
      return;
    }
    // RFC 3261 §17.1.3: nobody waits for it, so nobody gets it.
    if (!clients.receive(message)) totals.strayResponses += 1;
  };

  const receiver: Receiver = {
    message(from, bytes, parsed) {
      if (stopped) return;
      try {
        if (!parsed.ok) {
          uas.broken(parsed, from);
          return;
        }
        trace('in', from, parsed.message, bytes);
        receive(from, parsed.message);
      } catch (error) {
        // A header that is only read here may be malformed; nothing that arrives may throw out of the stack.
        totals.malformed += 1;
        log.debug('a message was dropped', { from: from.remote.host, error: String(error) });
      }
    },
    closed(from, cause) {
      for (const listener of [...closeListeners]) listener(from, cause);
    },
    broken() {
      totals.brokenStreams += 1;
    },
  };

  return {
    async start() {
      const started: Transport[] = [];
      try {
        for (const transport of options.transports) {
          await transport.start(receiver);
          started.push(transport);
        }
      } catch (error) {
        for (const transport of started) await transport.stop();
        throw error;
      }
      book.look();
      watchAddresses();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      watching?.cancel();
      clients.stop(new SipError('STOPPED'));
      servers.stop();
      for (const listener of [...stopListeners]) listener();
      for (const transport of options.transports) await transport.stop();
    },
    flow,
    locate: (uri) => locate(uri).catch(() => []),
    report,
    async send(request, sendOptions = {}) {
      if (stopped) return { kind: 'failed', request, error: new SipError('STOPPED') };
      return uac.send(request, sendOptions);
    },
    async acknowledge(ack, ackOptions = {}) {
      if (stopped) throw new SipError('STOPPED');
      return uac.acknowledge(ack, ackOptions);
    },
    on: uas.on,
    claim: uas.claim,
    onFlowClosed(listener) {
      closeListeners.add(listener);
      return () => closeListeners.delete(listener);
    },
    onAddress(listener) {
      addressListeners.add(listener);
      return () => addressListeners.delete(listener);
    },
    onStop(listener) {
      stopListeners.add(listener);
      return () => stopListeners.delete(listener);
    },
    onTrace(listener) {
      traceListeners.add(listener);
      return () => traceListeners.delete(listener);
    },
    tally(name, read) {
      const entry = { name, read };
      tallies.add(entry);
      return () => void tallies.delete(entry);
    },
    counts() {
      const counts: Record<string, number> = {
        'transactions.client': clients.size,
        'transactions.server': servers.size,
        dialogs: uas.dialogs,
        timers: wheel.size,
        retransmitted: clients.retransmissions,
        ...servers.totals,
        ...prefixed('in', { ...uas.totals, ...totals, malformed: uas.totals.malformed + totals.malformed }),
        ...prefixed('out', uac.totals),
        ...prefixed('locate', deps.locator?.counts() ?? {}),
      };
      for (const transport of options.transports)
        Object.assign(counts, prefixed(transport.protocol, transport.counts()));
      for (const { name, read } of tallies) counts[name] = (counts[name] ?? 0) + read();
      return counts;
    },
    after: timing.coarse,
    token,
    timers: timing.values,
    get methods() {
      return uas.methods();
    },
    userAgent: options.userAgent,
  };
}

/** Characters of a token, with six random bits each. Every message carries several. */
const tokenLength = 11;
/** Random bytes that are had at a time: 128 tokens of 66 bits. */
const stockBytes = (128 * tokenLength * 6) / 8;

/** Tokens out of a stock of random bytes: asking for a few at a time costs more than all else of a transaction. */
function createTokens(random: Random): () => string {
  let stock = '';
  let used = 0;
  return () => {
    if (used + tokenLength > stock.length) {
      stock = Buffer.from(random.bytes(stockBytes)).toString('base64url');
      used = 0;
    }
    used += tokenLength;
    return stock.slice(used - tokenLength, used);
  };
}

function prefixed(prefix: string, counts: object): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [`${prefix}.${name}`, count]));
}

/** Without a locator: an address in the URI itself, by the first protocol that fits (RFC 3263 §4.1, §4.2). */
function numeric(uri: string, protocols: readonly Protocol[]): readonly Target[] {
  const { scheme, host, port, params } = parseUri(uri);
  const wanted = params.get('transport')?.toLowerCase();
  const protocol =
    scheme === 'sips'
      ? 'tls'
      : wanted === undefined
        ? protocols.includes('udp')
          ? 'udp'
          : protocols[0]
        : protocols.find((one) => one === wanted);
  const name = params.get('maddr') ?? host;
  const isAddress = /^[\d.]+$/.test(name) || name.includes(':') || protocol === 'memory';
  if (protocol === undefined || !isAddress) return [];
  return [{ protocol, host: name, port: port ?? (protocol === 'tls' ? 5061 : 5060), name: host }];
}
