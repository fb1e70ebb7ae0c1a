import { TAP_HOST } from './tap.ts';

/** The configuration of the Kamailio that tests talk to: one domain, digest, registrar, relay, presence. */
export interface KamailioSettings {
  port: number;
  domain: string;
  /** User name to password. */
  users: Readonly<Record<string, string>>;
  /** Directory of the text tables, which is the module's own to write. */
  tables: string;
  modules: string;
  algorithm: 'MD5' | 'SHA-256';
  /** Seconds until a nonce is stale. */
  nonceExpire: number;
  /** The longest lifetime of a publication that is granted, in seconds. */
  maxExpires: number;
  /** Seconds between looks for expired publications and subscriptions. */
  cleanPeriod: number;
  /** Users whose SUBSCRIBE is refused with 403: they may not read back what they published. */
  mayNotSubscribe: readonly string[];
  /** RFC 5626 at the registrar. */
  outbound: boolean;
  /** Answers STUN on its UDP port. */
  stun: boolean;
  /** Listens by TLS as well, with files in PEM. */
  tls:
    | {
        port: number;
        cert: string;
        key: string;
        ca: string;
        /** Whether it insists on a certificate of clients. */
        clients: boolean;
      }
    | undefined;
}

const MODULES = [
  'kex corex tm tmx sl rr pv maxfwd textops textopsx siputils xlog sanity',
  'usrloc registrar nathelper htable auth db_text presence presence_xml',
];

/** Logged before every request that Kamailio takes or makes itself: the whole message in hexadecimal. */
export const TRACE = /trace (in|out) ([0-9a-f]+)/;

export function kamailioConfig(settings: KamailioSettings): string {
  const { port, domain, users, tables, algorithm } = settings;
  const { tls } = settings;
  const more = [settings.outbound ? 'outbound' : '', settings.stun ? 'stun' : ''];
  const modules = [tls ? 'tls' : '', ...MODULES, ...more].join(' ').split(' ').filter(Boolean);
  const here = `127.0.0.1:${port}`;
  return `#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
# db_text and db_sqlite bear one writer at a time.
children=1
tcp_children=1
auto_aliases=no
listen=udp:${here}
listen=tcp:${here}
${tls ? `enable_tls=yes\nlisten=tls:127.0.0.1:${tls.port}` : ''}
alias="${domain}"
alias="${TAP_HOST}"
tcp_connection_lifetime=3605
tcp_rd_buf_size=65536
pv_buffer_size=262144
pv_buffer_slots=4
mpath="${settings.modules}"
${modules.map((name) => `loadmodule "${name}.so"`).join('\n')}
${
  tls
    ? `modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "${tls.cert}")
modparam("tls", "private_key", "${tls.key}")
modparam("tls", "ca_list", "${tls.ca}")
modparam("tls", "verify_certificate", ${tls.clients ? 1 : 0})
modparam("tls", "require_certificate", ${tls.clients ? 1 : 0})`
    : ''
}
modparam("xlog", "buf_size", 200000)
modparam("db_text", "db_mode", 0)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "received_avp", "$avp(RECEIVED)")
modparam("nathelper", "received_avp", "$avp(RECEIVED)")
modparam("registrar", "max_expires", 3600)
modparam("registrar", "outbound_mode", ${settings.outbound ? 1 : 0})
modparam("registrar", "gruu_enabled", 1)
modparam("registrar", "path_mode", 0)
modparam("registrar", "use_path", 1)
modparam("htable", "htable", "users=>size=8")
modparam("htable", "htable", "mute=>size=4")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("auth", "nonce_expire", ${settings.nonceExpire})
modparam("auth", "algorithm", "${algorithm}")
modparam("presence", "db_url", "text://${tables}")
modparam("presence", "server_address", "sip:${here}")
modparam("presence", "clean_period", ${settings.cleanPeriod})
modparam("presence", "max_expires", ${settings.maxExpires})
modparam("presence_xml", "db_url", "text://${tables}")
modparam("presence_xml", "force_active", 1)

event_route[htable:mod-init] {
${Object.entries(users)
  .map(([user, password]) => `  $sht(users=>${user}) = "${password}";`)
  .join('\n')}
${settings.mayNotSubscribe.map((user) => `  $sht(mute=>${user}) = 1;`).join('\n')}
}

event_route[tm:local-request] {
  xlog("L_NOTICE", "trace out $(mb{s.encode.hexa})\\n");
}

request_route {
  xlog("L_NOTICE", "trace in $(mb{s.encode.hexa})\\n");
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (!sanity_check()) exit;
  force_rport();
  if (is_method("CANCEL")) { if (t_check_trans()) route(RELAY); exit; }
  if (has_totag()) {
    if (loose_route()) route(RELAY);
    # The ACK of a failure has no Route; it belongs to its INVITE.
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    if (is_method("SUBSCRIBE") && uri == myself) route(PRESENCE);
    if (!(uri == myself)) route(RELAY);
    sl_send_reply("404", "Not Here");
    exit;
  }
  # Whoever asserts an identity from outside is not believed (RFC 3325 section 5).
  remove_hf("P-Asserted-Identity");
  remove_hf("P-Preferred-Identity");
  # The outbound proxy names itself in a pre-loaded Route.
  if (loose_route_preloaded()) remove_hf("Route");
  if (is_method("OPTIONS") && uri == myself && $rU == $null) { sl_send_reply("200", "OK"); exit; }
  route(AUTH);
  if (is_method("REGISTER")) {
    fix_nated_register();
    if (!save("location")) sl_reply_error();
    exit;
  }
  if (is_method("PUBLISH|SUBSCRIBE")) route(PRESENCE);
  if (!(uri == myself)) { sl_send_reply("403", "No Relaying"); exit; }
  # Requests of a call keep coming this way.
  if (is_method("INVITE")) record_route();
  if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  route(RELAY);
}

route[AUTH] {
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("$td", "$sht(users=>$au)", "0")) { www_challenge("$td", "1"); exit; }
    if ($au != $tU) { sl_send_reply("403", "Not Yours"); exit; }
  } else {
    if (!pv_proxy_authenticate("$fd", "$sht(users=>$au)", "0")) { proxy_challenge("$fd", "1"); exit; }
    if ($au != $fU) { sl_send_reply("403", "Not Yours"); exit; }
    append_hf("P-Asserted-Identity: <sip:$au@$fd>\\r\\n");
  }
  consume_credentials();
}

route[PRESENCE] {
  if (!t_newtran()) { sl_reply_error(); exit; }
  if (is_method("PUBLISH")) {
    handle_publish();
  } else {
    if ($sht(mute=>$fU) == 1) { t_reply("403", "Forbidden"); exit; }
    # NOTIFY goes back where the SUBSCRIBE came from, over the same connection.
    fix_nated_contact();
    msg_apply_changes();
    handle_subscribe();
  }
  t_release();
  exit;
}

route[RELAY] {
  if (!t_relay()) sl_reply_error();
  exit;
}
`;
}
