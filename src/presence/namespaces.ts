/** RFC 3863 §5.2. */
export const PIDF_NS = 'urn:ietf:params:xml:ns:pidf';
/** RFC 5262 §5.1. */
export const PIDF_DIFF_NS = 'urn:ietf:params:xml:ns:pidf-diff';
/** RFC 4479 §8. */
export const DATA_MODEL_NS = 'urn:ietf:params:xml:ns:pidf:data-model';
/** RFC 4480 §9. */
export const RPID_NS = 'urn:ietf:params:xml:ns:pidf:rpid';
/** RFC 8428 §12.4. */
export const SENML_NS = 'urn:ietf:params:xml:ns:senml';

/**
 * Namespace of our own status extension. Its one element, `<unknown/>`, stands in `<status>` in place of `<basic>`
 * when nothing can be said about the device: RFC 3863 §4.1.3 wants a child in every `<status>`, and neither `open` nor
 * `closed` would be true. A watcher that does not know it ignores it (§4.2.3) and is left without a basic status,
 * which is what we mean. The name is a UUID (RFC 9562), since only IANA hands out names below `urn:ietf` and a new
 * URN namespace would have to be registered.
 */
export const STATUS_NS = 'urn:uuid:01fe13e5-b5e1-4b65-9b20-46ef03666dce';

/** Media types of presence documents (RFC 3863 §5.1, RFC 5262 §5.2). */
export const PIDF_TYPE = 'application/pidf+xml';
export const PIDF_DIFF_TYPE = 'application/pidf-diff+xml';
