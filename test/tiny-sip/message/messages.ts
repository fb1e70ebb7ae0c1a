/** Messages for the tests of this folder. */

/** CRLF lines, as one writes them in a test: one line each, the body after an empty one. */
export function crlf(text: string): string {
  return text.replace(/^\n/, '').replace(/\r?\n/g, '\r\n');
}

export const PUBLISH = crlf(`
PUBLISH sip:gateway7@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnashds8;rport
Max-Forwards: 70
From: "Gateway 7" <sip:gateway7@example.com>;tag=a73kszlfl
To: <sip:gateway7@example.com>
Call-ID: 3848276298220188511@192.0.2.10
CSeq: 4711 PUBLISH
Contact: <sip:gateway7@192.0.2.10:5060;transport=udp>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"
Event: presence
Expires: 120
SIP-If-Match: dx200xyz
Content-Type: application/pidf+xml
Content-Length: 11

<presence/>`);

/** RFC 4475 §3.1.1.1, as far as its head goes. */
export const TORTUOUS = crlf(`
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 5
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

v=0
`);

/** A message with nothing but what it must have and the given lines. */
export function request(lines: string, body = '', method = 'OPTIONS'): string {
  return `${method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@example.com\r\nCSeq: 1 ${method}\r\n${lines}\r\n${body}`;
}
