/** Content codings that are understood, as Accept-Encoding lists them. Apart from what undoes them, which loads zlib. */
export const ACCEPT_ENCODING = 'identity, deflate, gzip';
