/* sofia-sip: headers are taken apart when the message is extracted. */
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>

#include "peer.h"

static long size_of(const char *text) { return text == NULL ? 0 : (long)strlen(text); }

static long read_sofia(char *text, size_t length, void *with) {
  (void)with;
  msg_t *message = msg_make(sip_default_mclass(), 0, text, (ssize_t)length);
  if (message == NULL) return -1;
  sip_t *sip = sip_object(message);
  if (sip == NULL || sip->sip_error != NULL || sip->sip_via == NULL || sip->sip_from == NULL || sip->sip_to == NULL ||
      sip->sip_call_id == NULL || sip->sip_cseq == NULL) {
    msg_destroy(message);
    return -1;
  }
  long sum = sip->sip_request != NULL ? size_of(sip->sip_request->rq_method_name) : sip->sip_status->st_status;
  sum += size_of(sip->sip_via->v_host) + size_of(sip->sip_via->v_branch);
  sum += size_of(sip->sip_from->a_url->url_host) + size_of(sip->sip_from->a_tag);
  sum += size_of(sip->sip_to->a_url->url_host) + size_of(sip->sip_to->a_tag);
  sum += size_of(sip->sip_call_id->i_id) + (long)sip->sip_cseq->cs_seq;
  sum += sip->sip_contact != NULL ? size_of(sip->sip_contact->m_url->url_host) : 0;
  sum += sip->sip_expires != NULL ? (long)sip->sip_expires->ex_delta : 0;
  sum += sip->sip_event != NULL ? size_of(sip->sip_event->o_type) : 0;
  sum += sip->sip_max_forwards != NULL ? (long)sip->sip_max_forwards->mf_count : 0;
  sum += sip->sip_content_length != NULL ? (long)sip->sip_content_length->l_length : 0;
  msg_destroy(message);
  return sum;
}

int main(int argc, char **argv) { return peer_run(argc, argv, read_sofia, NULL); }
