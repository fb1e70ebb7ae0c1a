/* pjsip: every header is taken apart when the message is parsed; its pool is emptied after each. */
#include <pjlib-util.h>
#include <pjlib.h>
#include <pjsip.h>
#include <pjsip_simple.h>

#include "peer.h"

static long read_pjsip(char *text, size_t length, void *with) {
  pj_pool_t *pool = with;
  pjsip_parser_err_report errors;
  pj_list_init(&errors);
  pj_pool_reset(pool);
  pjsip_msg *message = pjsip_parse_msg(pool, text, length, &errors);
  if (message == NULL) return -1;
  const pj_str_t event_name = {"Event", 5};
  pjsip_via_hdr *via = pjsip_msg_find_hdr(message, PJSIP_H_VIA, NULL);
  pjsip_from_hdr *from = pjsip_msg_find_hdr(message, PJSIP_H_FROM, NULL);
  pjsip_to_hdr *to = pjsip_msg_find_hdr(message, PJSIP_H_TO, NULL);
  pjsip_cid_hdr *id = pjsip_msg_find_hdr(message, PJSIP_H_CALL_ID, NULL);
  pjsip_cseq_hdr *cseq = pjsip_msg_find_hdr(message, PJSIP_H_CSEQ, NULL);
  pjsip_contact_hdr *contact = pjsip_msg_find_hdr(message, PJSIP_H_CONTACT, NULL);
  pjsip_expires_hdr *expires = pjsip_msg_find_hdr(message, PJSIP_H_EXPIRES, NULL);
  pjsip_event_hdr *event = pjsip_msg_find_hdr_by_name(message, &event_name, NULL);
  pjsip_max_fwd_hdr *hops = pjsip_msg_find_hdr(message, PJSIP_H_MAX_FORWARDS, NULL);
  pjsip_clen_hdr *size = pjsip_msg_find_hdr(message, PJSIP_H_CONTENT_LENGTH, NULL);
  if (via == NULL || from == NULL || to == NULL || id == NULL || cseq == NULL) return -1;
  long sum = message->type == PJSIP_REQUEST_MSG ? (long)message->line.req.method.name.slen : message->line.status.code;
  sum += (long)via->sent_by.host.slen + (long)via->branch_param.slen;
  sum += (long)((pjsip_sip_uri *)pjsip_uri_get_uri(from->uri))->host.slen + (long)from->tag.slen;
  sum += (long)((pjsip_sip_uri *)pjsip_uri_get_uri(to->uri))->host.slen + (long)to->tag.slen;
  sum += (long)id->id.slen + (long)cseq->cseq;
  sum += contact != NULL && contact->uri != NULL
             ? (long)((pjsip_sip_uri *)pjsip_uri_get_uri(contact->uri))->host.slen
             : 0;
  sum += expires != NULL ? (long)expires->ivalue : 0;
  sum += event != NULL ? (long)event->event_type.slen : 0;
  sum += hops != NULL ? (long)hops->ivalue : 0;
  sum += size != NULL ? (long)size->len : 0;
  return sum;
}

int main(int argc, char **argv) {
  pj_caching_pool caching;
  pjsip_endpoint *endpoint;
  pj_log_set_level(0);
  if (pj_init() != PJ_SUCCESS || pjlib_util_init() != PJ_SUCCESS) return 70;
  pj_caching_pool_init(&caching, NULL, 0);
  if (pjsip_endpt_create(&caching.factory, "bench", &endpoint) != PJ_SUCCESS) return 70;
  if (pjsip_evsub_init_module(endpoint) != PJ_SUCCESS) return 70;
  pj_pool_t *pool = pjsip_endpt_create_pool(endpoint, "parse", 16384, 16384);
  return peer_run(argc, argv, read_pjsip, pool);
}
