import { assert } from '../base/assert.ts';
import * as hosts from './hostValues.ts';
import * as patterns from './patternValues.ts';
import { categoryRule, replyRule } from './replyRuleValues.ts';
import { sourceIpReaders } from './sourceIpValues.ts';
import * as values from './values.ts';

/**
 * THE table: every directive and section we read. One row is
 *
 *     name | value type | default | status | what it does
 *
 * under a heading `@ scopes` that says where it may stand. `name*` may be repeated; `name-*` is every name
 * that begins so. A default that no value
 * can spell stands in parentheses. Statuses, and what a line with that status leads to:
 *
 *   honoured   it has its effect.
 *   harmless   read, no effect yet: W-NOT-YET, unless it stands at its default.
 *   harmless!  the same, but its default is not what we do either, so it is always said.
 *   unsafe     ignoring it would let someone in, send mail elsewhere or otherwise than told, or drop a
 *              protection: W-NOT-YET and `run` refuses, unless it stands at its default.
 */
const directiveRows = `
@ global
postmaster*                | address       |                  | honoured  | The operator's address; mail for the local postmaster goes there.
host-name*                 | host          | (system's name)  | honoured  | This host's names. The first greets; mail for any of them is local.
smtp-listener*             | listener      | (127.0.0.1:25)   | honoured  | Address and port to accept mail on; source=NAME lays a named source over it.
smtp-port                  | port          |                  | harmless  | Deprecated: the port to listen on. Use smtp-listener.
smtp-ip                    | ip            |                  | harmless  | Deprecated: the address to listen on. Use smtp-listener.
relay-domain*              | pattern       | (host names)     | honoured  | Recipient domains accepted from anyone who may connect.
relay-address*             | text          |                  | harmless  | Single recipients accepted from anyone who may connect.
relay-debug                | yes/no        | no               | harmless  | Refuse relaying with 4xx instead of 5xx.
always-allow-relaying      | yes/no        | no               | harmless  | Whether everyone may relay. Set it in a <source> instead.
total-max-smtp-in          | positive      | 100              | honoured  | Inbound connections at a time.
total-max-smtp-out         | positive      | 1200             | honoured  | Outbound connections at a time, all queues together.
total-max-file             | count         |                  | harmless  | Threads that write file queues.
smtp-await-slot            | yes/no        | no               | harmless  | With all inbound slots taken: wait instead of answering 421.
log-file                   | path          | (./var/log/penstock.log) | honoured | The text log.
log-rotate                 | count         | 8                | harmless  | How many logs are kept at midnight's rotation, the live one included; 0 turns it off.
log-auto-rotation          | yes/no        | yes              | harmless  | Whether the log is rotated at midnight.
log-file-world-readable    | yes/no        | no               | harmless  | Whether everyone on this host may read the log.
spool*                     | path          | (./var/spool)    | honoured  | Folder where accepted mail is kept; the older form of <spool>.
spool-max-recipients       | words:1       | auto             | harmless  | Recipients all spools may hold before submissions are deferred.
spool-min-free-space       | count         | 0                | honoured  | Megabytes to keep free on the spool's disk.
spool-delete-corrupted     | yes/no        | no               | harmless  | Delete spool files that cannot be read.
sync-msg-create            | yes/no        |                  | harmless  | Whether mail is on disk before it is accepted. Always so here; see durability.
sync-msg-update            | yes/no        |                  | harmless  | Whether outcomes are on disk at once. Grouped and always so here; see durability.
durability                 | sync/os/none  | sync             | honoured  | What the 250 after a message waits for: on disk, handed to the kernel, or in memory.
engines                    | positive      | 1                | honoured  | Engine processes; more than 1 is experimental.
domain-precedence          | specificity/scope | specificity  | honoured  | Which <domain> wins: the more specific pattern, or the nearer scope.
run-as-root                | yes/no        | yes              | harmless  | Whether to stay root after binding the ports.
run-as                     | text          | penstock         | harmless  | The account to run under with run-as-root no.
http-mgmt-port             | count         | 8080             | harmless! | Port of the web monitor; 0 turns it off.
http-access*               | words:2       |                  | harmless  | Who may see the web monitor, first match wins: CIDR, then none, monitor, operator or admin.
http-redirect-to-https     | yes/no        | yes              | harmless  | Send the web monitor's visitors to HTTPS.
http-api-key*              | text          |                  | harmless  | A key that gives full access to the web monitor's interface.
http-csrf-protection       | yes/no        | yes              | harmless  | Change state only with a key or token.
http-tls-allow-sslv3       | yes/no        | no               | harmless  | Web monitor: accept SSLv3.
http-tls-allow-tlsv1       | yes/no        | no               | harmless  | Web monitor: accept TLS 1.0.
http-tls-allow-tlsv1.1     | yes/no        | yes              | harmless  | Web monitor: accept TLS 1.1.
http-tls-allow-tlsv1.2     | yes/no        | yes              | harmless  | Web monitor: accept TLS 1.2.
http-tls-ciphers           | text          |                  | harmless  | Web monitor: TLS ciphers.
http-tls-ca-file           | path          |                  | harmless  | Web monitor: accepted client authorities.
http-strict-transport-security-max-age | text |               | harmless  | Web monitor: how long browsers insist on HTTPS.
http-log-tls               | yes/no        | no               | harmless  | Web monitor: log TLS.
http-log-data              | yes/no        | no               | harmless  | Web monitor: log contents.
http-log-requests          | yes/no        | no               | harmless  | Web monitor: log requests.
http-default-max-items     | count         | 10               | harmless  | Web monitor: rows a page.
http-default-sort-order    | name/rcpt/size |                 | harmless  | Web monitor: order of lists.
name-server*               | ip            | (system's)       | honoured  | DNS servers to ask, in turn.
domain-suffix              | text          |                  | harmless  | Appended to domains without a dot.
host-id                    | count         | 0                | harmless  | A number that goes into generated Message-IDs.
domain-macro*              | domain-macro  |                  | honoured  | A named list of domains for use in <domain $NAME>.
invalid-virtual-mta-fallback | name        |                  | honoured  | Virtual MTA or pool for mail that names one which does not exist, where it is not refused.
pickup                     | words:2       |                  | unsafe    | Folder from which message files are taken, and the one for bad ones.
pickup-remove-dot          | yes/no        | no               | harmless  | Undo dot-stuffing in picked-up files.
alias*                     | words:2       |                  | unsafe    | Mail for the first address goes to the second.
dummy-smtp-port            | count         | 0                | harmless  | Test listener that accepts and discards.
dummy-smtp-ip              | ip            |                  | harmless  | Test listener: its address.
dummy-smtp-await-slot      | yes/no        | no               | harmless  | Test listener: wait for a slot.
dummy-smtp-has-chunking    | yes/no        |                  | harmless  | Test listener: offer CHUNKING.
dummy-smtp-has-pipelining  | yes/no        |                  | harmless  | Test listener: offer PIPELINING.
dummy-smtp-has-verp        | yes/no        |                  | harmless  | Test listener: offer VERP.
dummy-smtp-has-mailmerge   | yes/no        |                  | harmless  | Test listener: offer mailmerge.
dummy-smtp-latency         | count         | 0                | harmless  | Test listener: milliseconds before each reply.
dummy-smtp-update-stats    | yes/no        |                  | harmless  | Test listener: count in the statistics.
dummy-smtp-blacklist       | path          |                  | harmless  | Test listener: addresses it refuses.
dummy-smtp-log-blacklist   | yes/no        |                  | harmless  | Test listener: log what it refuses.
dummy-smtp-blacklist-bounce-method  | text |                  | harmless  | Test listener: how it chooses what to refuse.
dummy-smtp-blacklist-bounce-percent | count |                 | harmless  | Test listener: share it refuses.
mx-connection-limit*       | words:2       |                  | unsafe    | Connections from one local address to each matching MX.
ip-connection-limit*       | words:2       |                  | unsafe    | Connections from one local address to each matching MX address.
smtp-server-tls-certificate | certificate  |                  | harmless  | Certificate and key for inbound TLS; listeners inherit it.
smtp-server-tls-ca-file    | path          |                  | harmless  | Inbound TLS: accepted client authorities.
smtp-server-tls-ciphers    | text          | HIGH:!ADH:@STRENGTH | harmless | Inbound TLS: ciphers.
smtp-server-tls-allow-sslv3   | yes/no     | no               | harmless  | Never honoured: TLS 1.2 is the floor.
smtp-server-tls-allow-tlsv1   | yes/no     | no               | harmless  | Never honoured: TLS 1.2 is the floor.
smtp-server-tls-allow-tlsv1.1 | yes/no     | yes              | harmless! | Never honoured: TLS 1.2 is the floor.
smtp-server-tls-allow-tlsv1.2 | yes/no     | yes              | harmless  | Inbound TLS: accept TLS 1.2.
smtp-server-tls-allow-tlsv1.3 | yes/no     | yes              | harmless  | Inbound TLS: accept TLS 1.3.
smtp-server-tls-v1.3-ciphersuites | text   |                  | harmless  | Inbound TLS 1.3: cipher suites.
smtp-server-tls-tlsv1.3-ciphersuites | text |                 | harmless  | Inbound TLS 1.3: cipher suites.
smtp-server-tls-dh-key-length | count      |                  | harmless  | Inbound TLS: length of Diffie-Hellman keys.
custom-dsn-from-header     | text          |                  | honoured  | From header of our own delivery reports.
dsn-failed-from-template   | text          |                  | harmless  | Bounces: template of the From header.
dsn-failed-subject-template | text         |                  | harmless  | Bounces: template of the Subject header.
dsn-failed-body-template-from | path       |                  | harmless  | Bounces: file with the template of the text.
max-memory-usage-percent   | count         | 90               | harmless  | Memory above which mail is deferred.
track-time-first-attempt   | yes/no        | no               | harmless  | Keep the time of the first attempt for accounting.
edns-udp-length            | edns-udp-length | 1232           | honoured  | Octets a DNS answer by UDP may have, 512 to 2048; a larger one comes by TCP.
volume-audit-api-key       | text          |                  | harmless  | PowerMTA's volume licence; nothing calls home here.
mailmerge-expands-undefined-variables | yes/no | yes          | harmless  | Mailmerge: an undefined [x] becomes empty.
thread-*                   | text          |                  | harmless  | PowerMTA's thread counts; there are none here.
pmc-acct-min-free-space    | size          |                  | harmless  | PowerMTA's management console.
enable-signals             | text          | no               | harmless  | PowerMTA's telemetry; there is none here.

@ global virtual-mta
smtp-source-host*          | source-host   | (system's)       | honoured  | Address to send from and the name to say in EHLO; several take turns.
smtp-proxy-source-host*    | words:4       |                  | unsafe    | Send through an HAProxy-protocol proxy: local address, proxy, client address, EHLO name.
use-proxy                  | names         |                  | unsafe    | Names of <proxy> sections to send through.

@ global virtual-mta virtual-mta-pool
include-headers-from       | path          |                  | harmless  | File with header lines added below our Received line.

@ global virtual-mta virtual-mta-pool domain-key-list
domain-key*                | domain-key    |                  | harmless  | A DKIM key: selector, domain (or * for any), key file.

@ global domain
allow-loopback-mx          | yes/no        | no               | honoured  | Deliver to loopback or private addresses that DNS gave; smtp-hosts needs no permission.

@ global smtp-listener source domain virtual-mta smtp-pattern-list
include*                   | path          |                  | honoured  | Reads another file in this place; wildcards allowed.

@ smtp-listener
source                     | name          |                  | honoured  | Named source laid over the address sources here.
allowed-hosts*             | cidrs         | (everyone)       | honoured  | Who may connect; others are reset. Without require-auth, they may relay.
default-virtual-mta-pool   | name          |                  | honoured  | Pool or virtual MTA of all mail from this listener.
durability                 | sync/os/none  | (the global one) | honoured  | What the 250 after a message waits for here.
require-auth               | yes/no        | no               | unsafe    | No mail before AUTH; whoever authenticates may relay.
starttls                   | off/optional/required | off      | unsafe    | Whether TLS is offered, or must come first.
immediate-tls              | yes/no        | no               | unsafe    | TLS from the first byte.
tls-certificate            | certificate   |                  | unsafe    | PEM file with the certificate, and the key unless tls-key names it.
tls-key                    | certificate   |                  | unsafe    | PEM file with the private key.
tls-min-version            | text          | TLSv1.2          | unsafe    | Oldest TLS version accepted.
tls-allow-sslv3            | yes/no        | no               | harmless! | Never honoured: TLS 1.2 is the floor.
tls-allow-tlsv1            | yes/no        | no               | harmless! | Never honoured: TLS 1.2 is the floor.
tls-allow-tlsv1.1          | yes/no        | yes              | harmless! | Never honoured: TLS 1.2 is the floor.
tls-allow-tlsv1.2          | yes/no        | yes              | unsafe    | Accept TLS 1.2.
tls-allow-tlsv1.3          | yes/no        | yes              | unsafe    | Accept TLS 1.3.
tls-ciphers                | text          | HIGH:!ADH:@STRENGTH | unsafe | Ciphers.
tls-tlsv1.3-ciphersuites   | text          |                  | unsafe    | Cipher suites of TLS 1.3.
tls-dh-key-length          | count         |                  | unsafe    | Length of Diffie-Hellman keys.
tls-ca-file                | path          |                  | unsafe    | Accepted client authorities.
await-slot                 | yes/no        | no               | harmless  | With all inbound slots taken: wait instead of answering 421.
proxy-protocol             | required/off  | off              | unsafe    | Whether a proxy tells the client's address.
proxy-hosts*               | cidrs         |                  | unsafe    | Proxies that may tell the client's address.
xclient-hosts*             | cidrs         |                  | unsafe    | Hosts that may speak for others with XCLIENT.

@ source
always-allow-relaying      | yes/no        | no               | honoured  | Whether these clients may send to any domain.
smtp-service               | yes/no        | yes              | honoured  | no: greet with 521 and close.
max-message-size           | size          | unlimited        | honoured  | Largest message accepted.
max-rcpt-per-message       | count         | 0                | honoured  | Recipients of one message; 0 is no limit.
default-virtual-mta        | default-virtual-mta |            | honoured  | Virtual MTA or pool of mail that nothing else directs.
log-connections            | yes/no        | no               | honoured  | Log connections.
log-commands               | yes/no        | no               | honoured  | Log commands and replies.
log-data                   | yes/no        | no               | honoured  | Log message contents.
add-received-header        | yes/no        | yes              | honoured  | Add our Received line.
hide-message-source        | yes/no        | no               | honoured  | Leave the client's name and address out of our Received line.
max-message-hops           | count         | 100              | honoured  | Received lines a message may have.
allow-chunking             | yes/no        | yes              | honoured  | Offer CHUNKING (BDAT).
allow-smtputf8             | yes/no        | yes              | honoured  | Offer SMTPUTF8.
smtp-command-timeout       | positive-interval | 10m          | honoured  | How long we wait for a command.
smtp-data-timeout          | positive-interval | 10m          | honoured  | How long we wait for message data.
process-x-virtual-mta      | yes/no        | no               | honoured  | Let X-Virtual-MTA choose the virtual MTA, then take it out.
retain-x-virtual-mta       | yes/no        | no               | honoured  | Leave X-Virtual-MTA in, where it was obeyed.
allow-empty-x-virtual-mta  | yes/no        | no               | honoured  | An empty X-Virtual-MTA chooses the default virtual MTA.
add-x-virtual-mta-header   | yes/no        | no               | honoured  | Add X-Virtual-MTA on delivery.
allowed-virtual-mtas*      | name-words    | (all)            | honoured  | What X-Virtual-MTA may choose.
reject-invalid-virtual-mta | yes/no        | yes              | honoured  | Refuse mail whose X-Virtual-MTA names none, or one that may not be chosen.
pattern-list               | name          |                  | honoured  | Patterns that choose the virtual MTA.
require-auth               | yes/no        | no               | unsafe    | No mail before AUTH.
allow-auth                 | yes/no        | yes              | harmless  | Offer AUTH.
allow-unencrypted-plain-auth | yes/no      | no               | harmless  | Offer PLAIN and LOGIN without TLS.
allow-starttls             | yes/no        | no               | harmless  | Offer STARTTLS.
require-starttls-before-auth | yes/no      | no               | unsafe    | No AUTH before STARTTLS.
smtp-max-auth-failure-rate | rate          | unlimited        | harmless  | Failed AUTH attempts after which a client is locked out.
too-many-rcpts-fails-message | yes/no      | no               | harmless  | Too many recipients: refuse the message, not the recipients.
log-tls                    | yes/no        | no               | harmless  | Log TLS.
remove-received-headers    | yes/no        | no               | honoured  | Take out the Received lines a message came with.
add-message-id-header      | yes/no        | no               | honoured  | Add a Message-ID where none is.
add-date-header            | no/yes/override | no             | honoured  | Add a Date where none is, or always.
date-header-time           | reception/delivery | reception   | harmless  | Which time an added Date tells.
process-x-job              | yes/no        | no               | honoured  | X-Job names the job; then taken out.
retain-x-job               | yes/no        | no               | honoured  | Leave X-Job in, where it was obeyed.
jobid-header               | header-name   |                  | honoured  | Another header that names the job.
jobid-prefix               | job-prefix    |                  | honoured  | Put before the job's name.
process-x-envid            | yes/no        | no               | honoured  | X-Envid gives the envelope id; then taken out.
process-x-schedule         | yes/no        | no               | unsafe    | X-Schedule gives delivery windows; then taken out.
retain-x-schedule          | yes/no        | no               | unsafe    | X-Schedule gives delivery windows; left in.
process-x-dkim-options     | yes/no        | no               | unsafe    | X-DKIM-Options directs signing; then taken out.
retain-x-dkim-options      | yes/no        | no               | unsafe    | X-DKIM-Options directs signing; left in.
process-x-dkim-key         | yes/no        | no               | unsafe    | X-DKIM-Key holds a private key; then taken out.
retain-x-dkim-key          | yes/no        | no               | unsafe    | X-DKIM-Key holds a private key; left in.
verp-default               | yes/no        | no               | harmless  | Give each recipient a return path of its own.
allow-mailmerge            | yes/no        | no               | harmless  | Offer the mailmerge commands.
always-allow-api-submission | yes/no       | no               | unsafe    | Everything PowerMTA's API needs, X-Virtual-MTA included.
suppress-local-dsn         | yes/no        | no               | honoured  | Send no delivery reports to these senders.
dsn-return-default         | headers/full/system | system     | honoured  | How much of the message a bounce returns.
accept-invalid-recipients  | yes/no        | no               | harmless  | Accept bad recipients and bounce them.
suppression-lists          | names         |                  | unsafe    | <address-list> names whose recipients get no mail.
auto-qualify-domain        | yes/no        | yes              | harmless  | Complete addresses without a domain.
disconnect-on-transient-error | yes/no     | no               | harmless  | Hang up instead of answering 4xx.
source-group               | name          |                  | harmless  | <source-group> whose limits these clients share.
bcc*                       | text          |                  | unsafe    | Send a copy of everything there.
rewrite-list               | name          |                  | unsafe    | <rewrite-list> for addresses.
check-spf-inbound          | yes/no        | no               | unsafe    | Check SPF of what comes in.
check-spf-inbound-max-void-lookups | count | 2                | harmless  | Empty DNS answers an SPF check may meet.
check-mfrom-inbound        | yes/no        | no               | unsafe    | The older name of check-spf-inbound.
check-dkim-inbound         | yes/no        | no               | harmless  | Check DKIM signatures of what comes in.
check-iprev-inbound        | yes/no        | no               | harmless  | Check that the client's name and address agree.
trace-*                    | yes/no        | no               | harmless  | Log the checks of what comes in.
reject-spf-check-temperror | yes/no        | yes              | harmless  | Refuse mail whose SPF check failed for now.
reject-spf-check-permerror | yes/no        | yes              | harmless  | Refuse mail whose SPF record is broken.
reject-spf-check-fail      | yes/no        | yes              | harmless  | Refuse mail that SPF forbids.
reject-iprev-*             | yes/no        | no               | unsafe    | Refuse clients whose name and address do not agree.
remove-header*             | header-names  |                  | honoured  | Headers taken out of what comes in.

@ smtp-user
password                   | text          |                  | harmless  | The password, as it is.
authentication-method      | password/system/certificate | password | harmless | What is checked.
tls-certificate            | certificate   |                  | harmless  | The client certificate that is the proof.
source                     | name          |                  | harmless  | Named source laid over the others for this user.
allowed-virtual-mtas*      | name-words    | (all)            | harmless  | What X-Virtual-MTA may choose.

@ source-group
max-smtp-in                | count         | unlimited        | harmless  | Inbound connections of the group.
reserved-smtp-in           | count         | 0                | harmless  | Inbound connections kept free for the group.

@ virtual-mta
host-name                  | host          | (the global one) | honoured  | The name this virtual MTA goes by.
proxy-protocol             | 1/2           | 1                | harmless  | Version of the proxy protocol spoken.

@ virtual-mta virtual-mta-pool
max-smtp-out               | count         | unlimited        | honoured  | Outbound connections of a virtual MTA, all its queues together.
max-smtp-msg-rate          | rate          | unlimited        | honoured  | Recipients attempted by a virtual MTA.
max-smtp-data-volume-rate  | data-rate     | unlimited        | honoured  | Bytes delivered by a virtual MTA.
cold-virtual-mta*          | name          |                  | unsafe    | Virtual MTA that takes a small share, to warm up its address.
rewrite-list               | name          |                  | unsafe    | <rewrite-list> for addresses.

@ virtual-mta-pool
virtual-mta*               | name          |                  | honoured  | A member; members take turns.

@ domain
remove-header*             | header-names  |                  | unsafe    | Headers taken out on delivery.
max-smtp-out               | positive      | 20               | honoured  | Connections of one queue (domain and virtual MTA).
max-msg-per-connection     | count         | 0                | honoured  | Messages before we hang up; 0 is no limit.
max-rcpt-per-message       | max-rcpt      | 1000             | honoured  | Recipients of one transaction.
max-rcpt-per-transaction   | max-rcpt      | 1000             | honoured  | The same as max-rcpt-per-message.
retry-after                | intervals     | 10m              | honoured  | Waits of the queue after failures, in turn; the last repeats.
retry-recipients-after     | positive-interval | 10m          | honoured  | Wait of a recipient that got a 4xx.
bounce-after               | positive-interval | 4d12h        | honoured  | When a recipient is given up.
smtp-hosts                 | smtp-hosts    | (the domain's MX) | honoured | Hosts to deliver to: "," equal preference, ";" next.
route                      | route         |                  | honoured  | Deprecated form of smtp-hosts: one host.
default-smtp-port          | port          | 25               | honoured  | Port of hosts that name none.
connect-timeout            | positive-interval | 2m           | honoured  | How long a connection may take to open.
smtp-greeting-timeout      | positive-interval | 5m           | honoured  | How long we wait for the greeting.
data-send-timeout          | positive-interval | 3m           | honoured  | How long sending may stand still.
smtp-data-termination-timeout | positive-interval | 10m       | honoured  | How long we wait for the reply to a message.
smtp-multiple-line-response-timeout | positive-interval | 5m  | honoured  | How long a reply of several lines may take.
connection-idle-timeout    | idle-interval | 1s               | honoured  | How long an idle connection waits for more mail, up to 10m.
log-connections            | yes/no        | no               | honoured  | Log connections.
log-commands               | yes/no        | no               | honoured  | Log commands and replies.
log-data                   | yes/no        | no               | honoured  | Log message contents.
max-msg-rate               | rate          | unlimited        | honoured  | Recipients attempted by one queue, in any window of that length.
max-connect-rate           | rate          | unlimited        | honoured  | Connections one queue opens.
max-data-volume-rate       | data-rate     | unlimited        | honoured  | Bytes one queue delivers.
source-ip-max-smtp-out*    | cidr-count    |                  | honoured  | max-smtp-out for each matching local address.
source-ip-max-msg-rate*    | cidr-rate     |                  | honoured  | max-msg-rate for each matching local address.
source-ip-max-connect-rate* | cidr-rate    |                  | honoured  | max-connect-rate for each matching local address.
source-ip-max-data-volume-rate* | cidr-data-rate |                  | honoured  | max-data-volume-rate for each matching local address.
smtp-out-rampup-interval   | interval      | 0                | honoured  | Wait between opening connections.
max-errors-per-connection  | count         | unlimited        | honoured  | Refused recipients before we hang up.
backoff-max-smtp-out       | positive         | 20               | honoured  | max-smtp-out in backoff mode.
backoff-max-msg-rate       | rate          |                  | honoured  | max-msg-rate in backoff mode.
backoff-max-connect-rate   | rate          |                  | honoured  | max-connect-rate in backoff mode.
backoff-max-data-volume-rate | data-rate   |                  | honoured  | max-data-volume-rate in backoff mode.
backoff-retry-after        | intervals     | 1h               | honoured  | retry-after in backoff mode.
backoff-notify             | texts         |                  | honoured  | Whom to tell about backoff mode.
backoff-to-normal-after    | interval-or-never | never        | honoured  | When backoff mode ends by itself.
backoff-to-normal-after-delivery | yes/no  | no               | honoured  | A delivery ends backoff mode.
backoff-reroute-to-virtual-mta | name      |                  | unsafe    | Virtual MTA that takes over in backoff mode.
reroute-to-virtual-mta     | name          |                  | unsafe    | Virtual MTA that takes over.
backoff-upon-all-sources-disabled | yes/no | no               | honoured  | Enter backoff mode when no local address is left.
reenable-source-ip-after   | interval-or-never | never        | honoured  | When a disabled local address is used again.
disabled-source-ip-notify  | texts         |                  | honoured  | Whom to tell about disabled local addresses.
log-disabled-ips           | yes/no        | no               | harmless  | Log disabled local addresses.
retry-after-dns-error      | positive-interval | 1m               | honoured  | How long a queue waits when no name server knew; in backoff mode, too.
retry-upon-new-mail        | yes/no        | no               | honoured  | New mail wakes a waiting queue.
bounce-upon-no-mx          | yes/no/interval | no             | honoured  | A domain without MX: use its address (no), give up (yes), or give up after so long.
bounce-upon-5xx-greeting   | yes/no        | yes              | honoured  | Give up on a 5xx greeting.
bounce-upon-transfer-failure | yes/no      | no               | harmless  | Give up when a transfer breaks.
bounce-upon-pix-transfer-failure | yes/no  | no               | harmless  | Give up when a transfer through a PIX breaks.
smtp-421-means-mx-unavailable | yes/no     | no               | honoured  | After a 421, try the next MX.
smtp-553-means-invalid-mailbox | yes/no    | yes              | honoured  | A bare 553 is a bad mailbox.
replace-smtp-421-service-response | yes/no | no               | honoured  | Report the reply before a 421 instead of it.
smtp-pattern-list          | name          |                  | honoured  | <smtp-pattern-list> that judges replies.
max-cold-virtual-mta-msg   | texts         | 0/d              | harmless  | Messages a day that go to cold virtual MTAs.
queue-to                   | queue         |                  | unsafe    | Put mail for these domains into that queue.
disable-mx-rollup          | yes/no        | no               | harmless  | Keep these domains out of <mx-rollup-list>.
mx-connection-attempts     | positive      | 10               | honoured  | Endpoints tried in one go before the queue waits.
use-starttls               | yes/no        | yes              | honoured  | Use TLS where the remote offers it.
require-starttls           | yes/no        | no               | honoured  | Deliver only over TLS.
use-dane                   | yes/no        | yes              | harmless! | Verify remotes by DANE.
smtp-tls-allow-sslv3       | yes/no        | no               | harmless  | Outbound TLS: allow SSLv3.
smtp-tls-allow-tlsv1       | yes/no        | no               | harmless  | Outbound TLS: allow TLS 1.0.
smtp-tls-allow-tlsv1.1     | yes/no        | yes              | harmless  | Outbound TLS: allow TLS 1.1.
smtp-tls-allow-tlsv1.2     | yes/no        | yes              | honoured  | Outbound TLS: allow TLS 1.2.
smtp-tls-allow-tlsv1.3     | yes/no        | yes              | honoured  | Outbound TLS: allow TLS 1.3.
smtp-tls-ciphers           | text          |                  | honoured  | Outbound TLS: ciphers.
smtp-tls-ca-file           | path          |                  | honoured  | Outbound TLS: authorities to verify remotes against.
smtp-client-certificate    | certificate   |                  | unsafe    | Certificate we show to remotes.
reuse-ssl-session          | yes/no        | yes              | honoured  | Outbound TLS: resume sessions.
auth-username              | text          |                  | unsafe    | User name for AUTH at the remote.
auth-password              | text          |                  | unsafe    | Password for AUTH at the remote.
use-unencrypted-plain-auth | yes/no        | no               | harmless  | Allow AUTH PLAIN at the remote without TLS.
assume-delivery-upon-data-termination-timeout | yes/no | no   | honoured  | No reply to a message in time: call it delivered.
ignore-8bitmime            | yes/no        | no               | honoured  | Act as if the remote had not offered 8BITMIME.
ignore-chunking            | yes/no        | no               | honoured  | Act as if the remote had not offered CHUNKING.
ignore-pipelining          | yes/no        | no               | honoured  | Act as if the remote had not offered PIPELINING.
ignore-dsn                 | yes/no        | no               | honoured  | Act as if the remote had not offered DSN.
dkim-sign                  | no/yes/if-x-dkim-options-present | no | unsafe | Sign with DKIM.
dkim-identity              | text          | sender-or-from   | harmless  | For whom to sign.
dkim-identity-fallback     | text          |                  | harmless  | For whom to sign where no key fits.
dkim-algorithm             | text          | rsa-sha256       | harmless  | Signature algorithm.
dkim-body-canon            | relaxed/simple | relaxed         | harmless  | Canonical form of the body.
dkim-headers-canon         | relaxed/simple | relaxed         | harmless  | Canonical form of the headers.
dkim-headers               | texts         |                  | harmless  | Headers to sign.
dkim-disallow-adding-headers | texts       |                  | harmless  | Headers signed so that none can be added.
dkim-add-timestamp         | yes/no        | no               | harmless  | Put the time into the signature.
dkim-add-body-limit        | yes/no        | no               | harmless  | Put the body's length into the signature.
dkim-expire-after          | interval-or-never | never        | harmless  | When the signature expires.
dkim-query-method          | text          |                  | harmless  | How verifiers find the key.
second-dkim-sign           | no/yes/if-x-dkim-options-present | no | unsafe | The same for a second signature.
second-dkim-identity       | text          |                  | harmless  | The same for a second signature.
second-dkim-identity-fallback | text       |                  | harmless  | The same for a second signature.
second-dkim-algorithm      | text          |                  | harmless  | The same for a second signature.
second-dkim-body-canon     | relaxed/simple |                 | harmless  | The same for a second signature.
second-dkim-headers-canon  | relaxed/simple |                 | harmless  | The same for a second signature.
second-dkim-headers        | texts         |                  | harmless  | The same for a second signature.
second-dkim-disallow-adding-headers | texts |                 | harmless  | The same for a second signature.
second-dkim-add-timestamp  | yes/no        |                  | harmless  | The same for a second signature.
second-dkim-add-body-limit | yes/no        |                  | harmless  | The same for a second signature.
second-dkim-expire-after   | interval-or-never |              | harmless  | The same for a second signature.
second-dkim-query-method   | text          |                  | harmless  | The same for a second signature.
dk-sign                    | yes/no        | no               | harmless  | Obsolete: DomainKeys.
queue-priority             | count         | 50               | harmless  | Order of queues where slots are short, 0 to 100.
allow-priority-interruption | yes/no       | yes              | harmless  | A more urgent queue may take over a connection slot.
allow-priority-interruption-during-transfer | yes/no | no     | harmless  | The same even during a transfer.
type                       | smtp/pipe/file/discard/http-delivery | smtp | unsafe | How the queue delivers.
file-format                | newfile-plain/newfile-pickup/append-mbox | | harmless | type file: form of the files.
file-destination           | path          |                  | harmless  | type file: where they go.
command                    | text          |                  | harmless  | type pipe: the program.
macro-variables-preserve-case | yes/no     | no               | harmless  | type pipe: keep the case of addresses.
discard-as-bounce          | yes/no        | no               | harmless  | type discard: account as bounces.
http-delivery-url          | text          |                  | harmless  | type http-delivery: where to.
http-delivery-extra-headers | text         |                  | harmless  | type http-delivery: more headers.
deliver-local-dsn          | yes/no        |                  | harmless  | Deprecated: deliver our own reports to this domain.
dsn-format                 | standard/plain-text | standard   | harmless  | Form of our own reports.
notify-of-delay-every      | interval      | 4h               | harmless  | How often senders hear of a delay.
disable-acct-records       | texts         |                  | harmless  | Record types not written for this domain.
log-resolution             | yes/no        | no               | honoured  | Log what DNS says of the hosts of a domain, whenever it was asked.
log-tls                    | yes/no        | no               | honoured  | Log TLS.
log-transfer-failures      | yes/no        | no               | harmless  | Log broken transfers.
max-events-recorded        | count         | 10               | harmless  | Events shown for a queue.
track-recipient-events     | yes/no        | no               | harmless  | Keep events of recipients.
check-spf-outbound         | yes/no        | no               | harmless  | Check our own SPF before sending.
bcc-upon-delivery*         | text          |                  | unsafe    | Send a copy of what was delivered there.
allow-cancel-during-transfer | yes/no      | no               | harmless  | Commands may break a running transfer.
pix-bug-workaround         | yes/no        |                  | harmless  | Send in a way old PIX firewalls bear.
add-x-msys-api-header      | yes/no        |                  | harmless  | For SparkPost.
sparkpost-*                | text          |                  | harmless  | For SparkPost.

@ smtp-pattern-list
reply*                     | reply         |                  | honoured  | What to do when a reply matches.

@ bounce-category-patterns
/*                         | category      |                  | honoured  | The category of what matches.

@ pattern-list
mail-from*                 | pattern-result |                 | honoured  | Result when the sender matches.
rcpt-to*                   | pattern-result |                 | honoured  | Result when the recipient matches.
header*                    | header-result |                  | honoured  | Result when that header matches.
**                         | result        |                  | honoured  | Result for everything.

@ acct-file
records                    | records       | d,b              | honoured  | Record types written.
max-size                   | file-size     | 250M             | honoured  | Size at which the next file begins.
move-to                    | path          |                  | honoured  | Folder finished files are moved to; same volume.
move-interval              | positive-interval | 1d           | honoured  | How often files are finished when move-to is set.
delete-after               | interval-or-never | 8d           | honoured  | When files go that are not moved.
record-fields*             | words:2+      |                  | harmless  | Columns of one record type.
user-string                | text          |                  | harmless  | A text for the column userString.
map-header-to-field*       | words:3       |                  | harmless  | Fill a column from a header.
queue-filter               | texts         |                  | harmless  | Queues whose records are written.
iso-times                  | yes/no        | yes              | harmless  | Times as 2020-01-31 23:59:59+0000.
world-readable             | yes/no        | no               | harmless  | Whether everyone on this host may read the files.
sync                       | yes/no        | yes              | harmless  | Rows are on disk before they count. Always so here.
count-moved-records        | yes/no        | no               | harmless  | Count records of moved files.
privacy-policy             | words:1+      | retain           | unsafe    | Whether addresses are written, left out or hashed.
retry-interval             | interval      | 5m               | harmless  | Pipe: when to start it again.
write-timeout              | interval      | 1m               | harmless  | Pipe: how long a write may take.
http-webhook-url           | text          |                  | harmless  | Where batches are posted.
http-webhook-extra-headers | text          |                  | harmless  | Webhook: more headers.
http-webhook-certificate   | certificate   |                  | harmless  | Webhook: our certificate.
http-webhook-ca-file       | path          |                  | harmless  | Webhook: accepted authorities.
http-webhook-max-interval  | interval      | 5m               | harmless  | Webhook: longest wait for a batch.
http-webhook-transfer-encoding | text      |                  | harmless  | Webhook: gzip.
http-webhook-connect-timeout | interval    | 5s               | harmless  | Webhook: how long connecting may take.
http-webhook-io-timeout    | interval      | 5s               | harmless  | Webhook: how long an answer may take.
http-webhook-log-verbose   | yes/no        | no               | harmless  | Webhook: log more.

@ spool
priority                   | positive      | 1                | harmless  | Which spool is filled first, 1 to 100.
deliver-only               | yes/no        | no               | harmless  | Take no new mail into this spool.
delete-file-holders        | yes/no        | no               | harmless  | PowerMTA's placeholder files; there are none here.
min-free-space             | size          | 0                | honoured  | Space to keep free on its disk.

@ mx-rollup-list
mx*                        | words:2+      |                  | harmless  | Domains with such an MX go into one queue.

@ bounce-processor feedback-loop-processor
deliver-unmatched-email    | yes/no        | yes              | harmless  | Deliver what is no report.
deliver-matched-email      | yes/no        | no               | harmless  | Deliver reports too.
forward-unmatched-to       | text          |                  | harmless  | Where what is no report goes.
forward-errors-to          | text          |                  | harmless  | Where unreadable reports go.

@ address-list
domain*                    | words:1       |                  | harmless  | All addresses of a domain.
address*                   | text          |                  | harmless  | One address, or those that match.
address-file*              | path          |                  | harmless  | A file with addresses.

@ email-patterns
body-pattern-file          | path          |                  | harmless  | A file with patterns for report bodies.
log-match-info             | yes/no        | no               | harmless  | Log what matched.

@ rewrite-list
mail-from*                 | words:2       |                  | harmless  | Sender addresses and what they become.
from-domain*               | words:2       |                  | harmless  | Domains of the From header and what they become.

@ dns
precached-domains-file     | path          |                  | harmless  | Domains to look up ahead.
precached-domains-refresh-interval | interval | 5m            | harmless  | How often.
precached-domains-max-domains | count      | 500              | harmless  | How many.

@ proxy
server*                    | host-port     |                  | harmless  | The proxy's address.
client*                    | words:2       |                  | harmless  | The address it sends from and the EHLO name.
protocol-version           | 1/2           | 1                | harmless  | Version of the proxy protocol.

@ vault
server-url                 | text          |                  | harmless  | The vault's address.
access-token               | text          |                  | harmless  | The token to show.
cache-ttl                  | interval      | 24h              | harmless  | How long secrets are kept.

@ transmissions-api
api-key*                   | text          |                  | harmless  | A key that may submit.
log-requests               | yes/no        | no               | harmless  | Log requests.
log-data                   | yes/no        | no               | harmless  | Log contents.
log-tls                    | yes/no        | no               | harmless  | Log TLS.

@ transmissions-api-listener
tls-certificate            | certificate   |                  | harmless  | Certificate and key.
tls-*                      | text          |                  | harmless  | TLS details.
`;

/** Sections: name, argument type (- none, ? before it: may miss), status, what it is; under where they may stand. */
const sectionRows = `
@ global
smtp-listener              | listen-address | honoured | Address and port to accept mail on, with what holds there.
source                     | source         | honoured | What clients of an address range, or under a name, may do.
smtp-user                  | name           | harmless | Who may authenticate.
source-group               | name           | harmless | Limits several sources share.
virtual-mta                | name           | honoured | A sending identity: addresses, names, limits.
virtual-mta-pool           | name           | honoured | Virtual MTAs that take turns.
smtp-pattern-list          | name           | honoured | What to do upon which replies.
bounce-category-patterns   | -              | honoured | Bounce categories by reply.
acct-file                  | acct-path      | honoured | An accounting file.
spool                      | path           | honoured | Folder where accepted mail is kept.
mx-rollup-list             | -              | unsafe   | Domains that share an MX share a queue.
bounce-processor           | -              | unsafe   | Takes bounces that come in as mail.
feedback-loop-processor    | -              | unsafe   | Takes complaints that come in as mail.
rewrite-list               | name           | harmless | Address rewriting.
domain-key-list            | name           | harmless | DKIM keys under a name.
dns                        | -              | harmless | DNS details.
proxy                      | name           | harmless | A proxy to send through.
vault                      | ?name          | harmless | A store of secrets.
transmissions-api          | -              | harmless | Submission over HTTP.
transmissions-api-listener | listen-address | harmless | Where submission over HTTP listens.
signals                    | ?text          | harmless | PowerMTA's telemetry; there is none here.
signals-filter             | ?text          | harmless | PowerMTA's telemetry; there is none here.
user-database              | ?text          | harmless | Users from SQL.
user-directory             | ?text          | harmless | Users from LDAP.

@ global virtual-mta virtual-mta-pool
domain                     | domain         | honoured | How mail for these recipient domains is delivered.

@ global pattern-list
pattern-list               | ?name          | honoured | Patterns that choose a virtual MTA.

@ global bounce-processor feedback-loop-processor
address-list               | ?name          | harmless | Addresses, for processors or as a suppression list.

@ bounce-processor feedback-loop-processor
email-patterns             | -              | harmless | Patterns for reports.
`;

/** Whose contents we do not check: all of it is for others. */
const freeSections = new Set(['signals', 'signals-filter', 'user-database', 'user-directory']);

const readers = new Map<string, values.ValueReader<unknown>>([
  ['yes/no', values.boolean],
  ['yes/no/interval', values.booleanOrInterval],
  ['count', values.count],
  ['positive', values.positive],
  ['port', values.port],
  ['edns-udp-length', values.ednsUdpLength],
  ['interval', values.interval],
  ['positive-interval', values.positiveInterval],
  ['idle-interval', values.idleInterval],
  ['interval-or-never', values.intervalOrNever],
  ['intervals', values.intervals],
  ['size', values.size],
  ['file-size', values.fileSize],
  ['rate', values.rate],
  ['data-rate', values.dataRate],
  ['max-rcpt', values.maxRcpt],
  ...sourceIpReaders,
  ['name', values.name],
  ['names', values.names],
  ['name-words', values.nameWords],
  ['default-virtual-mta', values.defaultVirtualMtaName],
  ['path', values.path],
  ['acct-path', values.acctPath],
  ['certificate', values.certificate],
  ['text', values.text],
  ['header-name', values.headerName],
  ['header-names', values.headerNames],
  ['job-prefix', values.jobPrefix],
  ['no/yes/override', values.dateHeader],
  ['headers/full/system', values.dsnReturnDefault],
  ['texts', values.texts],
  ['address', values.address],
  ['records', values.records],
  ['words:1', values.words(1, 1)],
  ['words:1+', values.words(1, 100)],
  ['words:2', values.words(2, 2)],
  ['words:2+', values.words(2, 1000)],
  ['words:3', values.words(3, 3)],
  ['words:4', values.words(4, 4)],
  ['sync/os/none', values.durability],
  ['specificity/scope', values.domainPrecedence],
  ['ip', hosts.ip],
  ['host', hosts.host],
  ['queue', hosts.queue],
  ['host-port', hosts.hostPort],
  ['cidrs', hosts.cidrs],
  ['source', hosts.sourceArgument],
  ['listen-address', hosts.listenAddress],
  ['listener', hosts.listenerLine],
  ['source-host', hosts.sourceHost],
  ['smtp-hosts', hosts.smtpHosts],
  ['route', hosts.route],
  ['pattern', hosts.domainPattern],
  ['domain', hosts.domainTag],
  ['domain-macro', hosts.domainMacro],
  ['domain-key', hosts.domainKey],
  ['reply', replyRule],
  ['category', categoryRule],
  ['result', patterns.everythingResult],
  ['pattern-result', patterns.patternThenResult],
  ['header-result', patterns.headerPattern],
]);

export type DirectiveStatus = 'honoured' | 'harmless' | 'unsafe';

export interface DirectiveDefinition {
  /** Lower case; a name that ends in `*` covers every directive that begins so. */
  readonly name: string;
  /** `global`, or the names of sections. */
  readonly scopes: readonly string[];
  readonly reader: values.ValueReader<unknown>;
  readonly repeatable: boolean;
  /** As one would write it; in parentheses what no value can spell; '' for none. */
  readonly defaultText: string;
  readonly status: DirectiveStatus;
  /** Its default is not what we do, so it is said even when it stands at its default. */
  readonly defaultNotHonoured: boolean;
  readonly doc: string;
}

export interface SectionDefinition {
  readonly name: string;
  readonly scopes: readonly string[];
  /** undefined: the tag takes no argument. */
  readonly argument: values.ValueReader<unknown> | undefined;
  readonly argumentMayMiss: boolean;
  readonly status: DirectiveStatus;
  /** Contents are skipped unread. */
  readonly free: boolean;
  readonly doc: string;
}

/** Every directive we know, in the order of the table. */
export const directives: readonly DirectiveDefinition[] = rowsOf(directiveRows, (scopes, cells) => {
  const [written, type, defaultText, status, doc] = cells as [string, string, string, string, string];
  const family = written.endsWith('-*');
  const repeatable = written.endsWith('*');
  return {
    name: repeatable && !family ? written.slice(0, -1) : written,
    scopes,
    reader: readerOf(type),
    repeatable,
    defaultText,
    status: statusOf(status.replace('!', '')),
    defaultNotHonoured: status.endsWith('!'),
    doc,
  };
});

/** Every section we know, in the order of the table. */
export const sections: readonly SectionDefinition[] = rowsOf(sectionRows, (scopes, cells) => {
  const [name, type, status, doc] = cells as [string, string, string, string];
  return {
    name,
    scopes,
    argument: type === '-' ? undefined : readerOf(type.replace('?', '')),
    argumentMayMiss: type.startsWith('?'),
    status: statusOf(status),
    free: freeSections.has(name),
    doc,
  };
});

const directivesByName = groupByName(directives);
const sectionsByName = new Map(sections.map((section) => [section.name, section]));
const families = directives.filter((row) => row.name.length > 1 && row.name.endsWith('*'));

/** Every row of that name; more than one when it means different things in different scopes. */
export function directivesNamed(name: string): readonly DirectiveDefinition[] {
  const family = families.find((row) => name.startsWith(row.name.slice(0, -1)));
  return directivesByName.get(name) ?? (family === undefined ? [] : [family]);
}

/** The row that holds in this scope (`global`, or a section's name). */
export function directiveIn(scope: string, name: string): DirectiveDefinition | undefined {
  return (
    directivesByName.get(name)?.find((row) => row.scopes.includes(scope)) ??
    families.find((row) => row.scopes.includes(scope) && name.startsWith(row.name.slice(0, -1)))
  );
}

export function sectionNamed(name: string): SectionDefinition | undefined {
  return sectionsByName.get(name);
}

/** Names that may stand in this scope. */
export function namesIn(scope: string): readonly string[] {
  return directives.filter((row) => row.scopes.includes(scope)).map((row) => row.name);
}

function groupByName(
  rows: readonly DirectiveDefinition[],
): ReadonlyMap<string, readonly DirectiveDefinition[]> {
  const groups = new Map<string, DirectiveDefinition[]>();
  for (const row of rows) groups.set(row.name, [...(groups.get(row.name) ?? []), row]);
  return groups;
}

function rowsOf<Row>(
  table: string,
  row: (scopes: readonly string[], cells: string[]) => Row,
): readonly Row[] {
  let scopes: readonly string[] = [];
  const rows: Row[] = [];
  for (const line of table.split('\n')) {
    if (line.startsWith('@ ')) scopes = line.slice(2).split(' ');
    else if (line !== '') rows.push(row(scopes, line.split(/\s*\|\s*/)));
  }
  return rows;
}

function readerOf(type: string): values.ValueReader<unknown> {
  const known = readers.get(type);
  if (known !== undefined) return known;
  assert(type.includes('/'), `${type} is a value type of the directive table`);
  return values.choice(type.split('/'));
}

function statusOf(text: string): DirectiveStatus {
  assert(text === 'honoured' || text === 'harmless' || text === 'unsafe', `${text} is a status`);
  return text;
}
