/* libosip2: the values that it does not take apart itself (Expires, Event, Max-Forwards) are looked up as texts. */
#include <osipparser2/osip_parser.h>

#include "peer.h"

static long text_of(osip_message_t *message, const char *name) {
  osip_header_t *header = NULL;
  osip_message_header_get_byname(message, name, 0, &header);
  return header == NULL || header->hvalue == NULL ? 0 : (long)strlen(header->hvalue);
}

static long tag_of(osip_from_t *address) {
  osip_generic_param_t *tag = NULL;
  if (osip_from_get_tag(address, &tag) != 0 || tag == NULL || tag->gvalue == NULL) return 0;
  return (long)strlen(tag->gvalue);
}

static long read_osip(char *text, size_t length, void *with) {
  (void)with;
  osip_message_t *message;
  if (osip_message_init(&message) != 0) return -1;
  if (osip_message_parse(message, text, length) != 0) {
    osip_message_free(message);
    return -1;
  }
  osip_via_t *via = NULL;
  osip_contact_t *contact = NULL;
  osip_generic_param_t *branch = NULL;
  osip_message_get_via(message, 0, &via);
  osip_message_get_contact(message, 0, &contact);
  if (via == NULL || message->from == NULL || message->to == NULL || message->call_id == NULL || message->cseq == NULL) {
    osip_message_free(message);
    return -1;
  }
  osip_via_param_get_byname(via, "branch", &branch);
  long sum = MSG_IS_REQUEST(message) ? (long)strlen(message->sip_method) : message->status_code;
  sum += (long)strlen(via->host) + (branch != NULL && branch->gvalue != NULL ? (long)strlen(branch->gvalue) : 0);
  sum += (long)strlen(message->from->url->host) + tag_of(message->from);
  sum += (long)strlen(message->to->url->host) + tag_of(message->to);
  sum += (long)strlen(message->call_id->number) + atol(message->cseq->number);
  sum += contact != NULL && contact->url != NULL && contact->url->host != NULL ? (long)strlen(contact->url->host) : 0;
  sum += text_of(message, "expires") + text_of(message, "event") + text_of(message, "max-forwards");
  sum += message->content_length != NULL ? atol(message->content_length->value) : 0;
  osip_message_free(message);
  return sum;
}

int main(int argc, char **argv) {
  parser_init();
  return peer_run(argc, argv, read_osip, NULL);
}
