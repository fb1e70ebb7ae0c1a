import { defineErrors } from '../base/errors.ts';

/** What can be wrong with presence documents, ours and those that others send. */
export const presenceErrors = defineErrors('PRES', {
  BAD_ID: {
    text: '"{id}" cannot be the id of a tuple',
    remedy: 'Derive ids with tupleId(): they start with a letter or an underscore and hold no spaces.',
  },
  ONE_DEVICE: {
    text: "the presence document of {entity} is one device's own and cannot take {id} too",
    remedy: 'Give each device that has its own address of record a document of its own.',
  },
  UNSUPPORTED_TYPE: {
    text: 'presence cannot be published as {type}',
    remedy: 'Publish application/pidf+xml or application/pidf-diff+xml.',
    sip: 415,
  },
  NOT_PRESENCE: {
    text: 'the document is no presence document: {why}',
    remedy: 'Send a document that is valid against the schema of RFC 3863 or RFC 5262.',
    sip: 400,
  },
  // RFC 5264 §4.3.2: the initial publication has to be whole.
  NO_BASE: {
    text: 'there is no published document that the pidf-diff could change',
    remedy: 'Publish the whole document (pidf-full) first.',
    sip: 400,
  },
  TOO_LARGE: {
    text: 'with this change the presence document would be too large: {why}',
    remedy: 'Publish less, or split the devices over several addresses of record.',
    sip: 413,
  },
});
