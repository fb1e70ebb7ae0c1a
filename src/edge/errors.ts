import { defineErrors } from '../base/errors.ts';

/** What can go wrong with the edge itself; refusals to its clients are SIP responses, not errors. */
export const edgeErrors = defineErrors('EDGE', {
  NO_DOMAIN: {
    text: 'the edge has no domain',
    remedy: 'Name at least one domain that the edge serves, such as home.example.',
    exit: 78,
  },
  NO_LISTENER: {
    text: 'the edge listens nowhere',
    remedy: 'Give at least one address to listen on, such as udp:0.0.0.0:5060.',
    exit: 78,
  },
  BAD_AOR: {
    text: 'user {user} cannot own {aor}: {why}',
    remedy:
      'Write addresses of record as sip:NAME@DOMAIN with a domain of the edge; * stands for any characters.',
    exit: 78,
  },
  NO_ALGORITHM: {
    text: 'no digest algorithm of {algorithms} suits all users',
    remedy: 'Give every user a password, or stored hashes for one and the same algorithm.',
    exit: 78,
  },
  CANNOT_STORE: {
    text: 'edge data cannot be kept in {path}: {cause}',
    remedy:
      'Give the process a directory that it may write; until then a restart forgets publications and registrations.',
    exit: 73,
  },
  CANNOT_LISTEN: {
    text: 'the edge cannot listen: {cause}',
    remedy: 'See whether another program holds the port, and whether the address is one of this machine.',
    exit: 69,
  },
});
