import { describe, expect, test } from 'vitest';
import type { ClientEffect, ClientSettings } from './clientEffect.ts';
import { ClientSession } from './clientSession.ts';
import type { DeliveryTransaction } from './deliveryTransaction.ts';
import { replyDefaults } from './replySettings.testing.ts';

const settings: ClientSettings = {
  ehloName: 'out.example',
  connectTimeoutMs: 120_000,
  greetingTimeoutMs: 301_000,
  commandTimeoutMs: 302_000,
  dataSendTimeoutMs: 180_000,
  dataTerminationTimeoutMs: 600_000,
  multiLineResponseTimeoutMs: 303_000,
  starttls: 'never',
  ignoredKeywords: new Set(),
  maxErrors: 0,
  replies: replyDefaults,
};

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (chunks: readonly Uint8Array[]): string =>
  chunks.map((chunk) => new TextDecoder().decode(chunk)).join('');

/** `starttls=ifOffered ignored=SIZE,8BITMIME maxErrors=2` */
function settingsWith(words: string): ClientSettings {
  const value = (name: string): string | undefined => new RegExp(`${name}=(\\S+)`).exec(words)?.[1];
  return {
    ...settings,
    starttls: (value('starttls') as ClientSettings['starttls']) ?? 'never',
    ignoredKeywords: new Set(value('ignored')?.split(',')),
    maxErrors: Number(value('maxErrors') ?? 0),
  };
}

/** `a@r.example b@r.example size=9 8bit utf8 from=x@y` */
function transactionOf(words: string): DeliveryTransaction {
  const parts = words.split(' ');
  const value = (name: string): string | undefined =>
    parts.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
  const body = bytes(value('body') === undefined ? 'Subject: a\r\n\r\n.\r\n' : `${value('body')}\r\n.\r\n`);
  return {
    reversePath: value('from') ?? 's@o.example',
    recipients: parts
      .filter((part) => part.includes('@') && !part.includes('='))
      .map((forwardPath, at) => ({ index: at + 10, forwardPath })),
    content: {
      prefix: new Uint8Array(0),
      chunks: [body],
      sizeBytes: Number(value('size') ?? body.length - 3) + 3,
    },
    wireForm: 'dotStuffed',
    smtpUtf8: parts.includes('utf8'),
    eightBit: parts.includes('8bit'),
  };
}

function told(effects: readonly ClientEffect[]): string[] {
  return effects.flatMap((effect) => {
    if (effect.kind === 'send') {
      const lines = textOf(effect.chunks).split('\r\n').slice(0, -1);
      return lines.map((line, at) => `${at === 0 ? 'C:' : ' :'} ${line}`.trimEnd());
    }
    if (effect.kind === 'settled') {
      return effect.results.map(({ index, kind, status, diagnostic, bodySent }) =>
        `= ${index} ${kind} ${status} ${diagnostic}${bodySent ? ' BODYSENT' : ''}`.trimEnd(),
      );
    }
    if (effect.kind === 'failed') {
      const { kind, during, permanent, status, diagnostic } = effect.failure;
      return [`= failed ${kind} during ${during}${permanent ? ' for good' : ''}: ${status} ${diagnostic}`];
    }
    return [`= ${effect.kind}`];
  });
}

/**
 * Plays a dialogue and gives it back as it went. `S:` the remote's lines (a block of them in one piece,
 * or byte by byte), `C:` one write of ours (` :` its further lines), `=` what is told, `!` what is done;
 * `! held N`: from here on N octets have not left; `! with ...`, at first: other settings.
 */
function play(script: string, byteWise: boolean): string[] {
  const lines = linesOf(script);
  let session = new ClientSession(settings, 0);
  let nowMs = 0;
  let heldBytes = 0;
  const actions: Record<string, (words: string) => readonly ClientEffect[]> = {
    with: (changes) => {
      session = new ClientSession(settingsWith(changes), 0);
      return [];
    },
    secured: () => session.secured({ protocol: 'TLSv1.3', cipher: 'TLS_X' }, nowMs),
    opened: () => session.opened(nowMs),
    deliver: (words) => session.deliver(transactionOf(words), nowMs),
    quit: () => session.quit(nowMs),
    ended: () => session.ended(nowMs),
    lost: (code) => session.lost(code === '' ? undefined : code, nowMs),
    wait: (ms) => {
      nowMs += Number(ms);
      return session.tick(nowMs, heldBytes);
    },
    deadline: (unsentBytes) => {
      nowMs = session.deadlineMs;
      return session.tick(nowMs, Number(unsentBytes));
    },
    held: (unsentBytes) => {
      heldBytes = Number(unsentBytes);
      return [];
    },
    drained: () => {
      session.drained(nowMs);
      return [];
    },
    part: (text) => session.received(bytes(text), nowMs),
  };
  const heard: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (line.startsWith('! ')) {
      const [, action, words] = /^! (\w+) ?(.*)$/.exec(line)!;
      heard.push(line, ...told(actions[action!]!(words!)));
    } else if (line.startsWith('S: ')) {
      const end = lines.findIndex((other, i) => i > at && !other.startsWith('S: '));
      const block = lines.slice(at, end < 0 ? lines.length : end);
      heard.push(...block);
      const data = bytes(block.map((one) => `${one.slice(3)}\r\n`).join(''));
      const pieces = byteWise ? Array.from(data, (byte) => Uint8Array.of(byte)) : [data];
      for (const piece of pieces) heard.push(...told(session.received(piece, nowMs, heldBytes)));
      at += block.length - 1;
    }
  }
  return heard;
}

function linesOf(script: string): string[] {
  return script
    .split('\n')
    .map((line) => line.replace(/^ {4}/, '').trimEnd())
    .filter((line) => line !== '');
}

const plain = `
    ! opened
    S: 220 mx ESMTP
    C: EHLO out.example
    S: 250 mx
    = ready`;
const pipelined = `
    ! opened
    S: 220-mx ESMTP
    S: 220 welcome
    C: EHLO out.example
    S: 250-mx
    S: 250-PIPELINING
    S: 250-SIZE 1000
    S: 250 8BITMIME
    = ready`;
const envelope = `
    ! deliver a@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<a@r.example>
     : DATA`;
const content = `
    C: Subject: a
     :
     : .`;
const oneSent = `${pipelined}${envelope}
    S: 250 2.1.0 ok
    S: 250 2.1.5 ok
    S: 354 go${content}
    = ready`;

const dialogues: readonly (readonly [promise: string, script: string])[] = [
  [
    'without PIPELINING every command waits for its reply',
    `${plain}
    ! deliver a@r.example b@r.example
    C: MAIL FROM:<s@o.example>
    S: 250 ok
    C: RCPT TO:<a@r.example>
    S: 250 ok
    C: RCPT TO:<b@r.example>
    S: 250 ok
    C: DATA
    S: 354 go${content}
    S: 250 2.6.0 queued as 7
    = 10 delivered 2.6.0 250 2.6.0 queued as 7
    = 11 delivered 2.6.0 250 2.6.0 queued as 7
    = ready
    ! quit
    C: QUIT
    S: 221 bye
    = close`,
  ],
  [
    'with PIPELINING the envelope is one write, and the next transaction may come while the content is out',
    `${oneSent}
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    S: 250 2.0.0 first
    = 10 delivered 2.0.0 250 2.0.0 first
    S: 250 ok
    S: 250 ok
    S: 354 go${content}
    = ready
    ! quit
    S: 250 second
    = 10 delivered 2.0.0 250 second
    C: QUIT
    S: 221 bye
    = close`,
  ],
  [
    '88: a 5yz greeting refuses the connection for good, with QUIT',
    `
    ! opened
    S: 554 5.7.1 go away
    C: QUIT
    = failed refused during greeting for good: 5.7.1 554 5.7.1 go away
    = close`,
  ],
  [
    '88: a 4yz greeting refuses it for now',
    `
    ! opened
    S: 450 later
    C: QUIT
    = failed refused during greeting: 4.0.0 450 later
    = close`,
  ],
  [
    '88: 421 as a greeting is temporary and closes',
    `
    ! opened
    S: 421 4.3.2 busy
    = failed serviceClosing during greeting: 4.3.2 421 4.3.2 busy
    = close`,
  ],
  [
    '88: a server of another protocol is a protocol error',
    `
    ! opened
    S: HTTP/1.1 400 Bad Request
    = failed protocolError during greeting: 4.5.0 out of step (syntax): HTTP/1.1 400 Bad Request
    = close`,
  ],
  [
    '89: EHLO refused with 5yz is followed by HELO, without extensions',
    `
    ! opened
    S: 220 old
    C: EHLO out.example
    S: 502 unknown
    C: HELO out.example
    S: 250-old
    S: 250 PIPELINING
    = ready
    ! deliver a@r.example 8bit
    C: MAIL FROM:<s@o.example>
    S: 250 ok
    C: RCPT TO:<a@r.example>`,
  ],
  [
    '89: EHLO refused with 4yz, or HELO refused, ends the connection',
    `
    ! opened
    S: 220 old
    C: EHLO out.example
    S: 501 no
    C: HELO out.example
    S: 550 5.7.1 nor that
    C: QUIT
    = failed refused during helo for good: 5.7.1 550 5.7.1 nor that
    = close`,
  ],
  [
    '89: EHLO refused with 4yz ends the connection without HELO',
    `
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 454 4.3.0 not now
    C: QUIT
    = failed refused during ehlo: 4.3.0 454 4.3.0 not now
    = close`,
  ],
  [
    '95: a refusal by a remote that then proves out of step is not believed',
    `${pipelined}
    ! deliver a@r.example b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<a@r.example>
     : RCPT TO:<b@r.example>
     : DATA
    S: 250 ok
    S: 550 5.1.1 no
    S: 354 go
    = 10 deferred 4.5.0 out of step (reply): 354 go
    = 11 deferred 4.5.0 out of step (reply): 354 go
    = failed protocolError during rcpt: 4.5.0 out of step (reply): 354 go
    = close`,
  ],
  [
    '93: what a message was allowed does not lengthen the time of the next command',
    `${oneSent}
    S: 250
    = 10 delivered 2.0.0 250
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    ! wait 302000
    = 10 notAttempted
    = failed timedOut during mail: 4.4.2 timed out waiting for the reply to MAIL
    = close`,
  ],
  [
    '95: a code outside 200 to 559 is temporary',
    `${pipelined}${envelope}
    S: 250 ok
    S: 571 5.7.1 who knows
    S: 554 none
    = 10 deferred 4.7.1 571 5.7.1 who knows
    = ready`,
  ],
  [
    '95: codes that differ within one reply are a protocol error, and nothing is final',
    `${pipelined}${envelope}
    S: 250 ok
    S: 550-no
    S: 450 perhaps
    = 10 deferred 4.5.0 out of step (mixedCodes): 450 no perhaps
    = failed protocolError during rcpt: 4.5.0 out of step (mixedCodes): 450 no perhaps
    = close`,
  ],
  [
    '96: 2yz, 4yz and 5yz to RCPT are three outcomes of one transaction',
    `${pipelined}
    ! deliver a@r.example b@r.example c@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<a@r.example>
     : RCPT TO:<b@r.example>
     : RCPT TO:<c@r.example>
     : DATA
    S: 250 ok
    S: 450 4.2.0 grey
    S: 250 ok
    S: 550-5.1.1 no such
    S: 550 5.1.1 user
    S: 354 go${content}
    = ready
    S: 250 done
    = 10 deferred 4.2.0 450 4.2.0 grey
    = 11 delivered 2.0.0 250 done
    = 12 failed 5.1.1 550 5.1.1 no such user`,
  ],
  [
    '96: all refused and yet a 354: the lone dot goes out, they stay refused, RSET goes before the next',
    `${pipelined}${envelope}
    S: 250 ok
    S: 550 5.1.1 no
    S: 354 go
    C: .
    S: 250 2.0.0 took nothing
    = 10 failed 5.1.1 550 5.1.1 no
    = ready
    ! deliver b@r.example
    C: RSET
     : MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA`,
  ],
  [
    '96: all refused without PIPELINING: no DATA, and the next transaction begins with RSET',
    `${plain}
    ! deliver a@r.example
    C: MAIL FROM:<s@o.example>
    S: 250 ok
    C: RCPT TO:<a@r.example>
    S: 550 5.1.1 no
    = 10 failed 5.1.1 550 5.1.1 no
    = ready
    ! deliver b@r.example
    C: RSET
    S: 250 ok
    C: MAIL FROM:<s@o.example>
    S: 250 ok
    C: RCPT TO:<b@r.example>`,
  ],
  [
    'MAIL refused: all recipients share that reply and what follows it changes nothing',
    `${pipelined}${envelope}
    S: 550 5.7.1 not you
    S: 503 5.5.1 MAIL first
    S: 503 5.5.1 RCPT first
    = 10 failed 5.7.1 550 5.7.1 not you
    = ready
    ! deliver b@r.example
    C: RSET
     : MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA`,
  ],
  [
    'MAIL refused without PIPELINING: no RCPT is tried',
    `${plain}
    ! deliver a@r.example b@r.example
    C: MAIL FROM:<s@o.example>
    S: 451 4.3.0 later
    = 10 deferred 4.3.0 451 4.3.0 later
    = 11 deferred 4.3.0 451 4.3.0 later
    = ready`,
  ],
  [
    'a 503 to a later MAIL is the remote out of step: not attempted, another connection will do',
    `${oneSent}
    S: 550 5.6.0 bad
    = 10 failed 5.6.0 550 5.6.0 bad
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    S: 503 5.5.1 nested MAIL
    = 10 notAttempted
    = failed protocolError during mail: 4.5.0 out of step (reply): 503 5.5.1 nested MAIL
    = close`,
  ],
  [
    'DATA refused: the accepted recipients get that reply',
    `${pipelined}${envelope}
    S: 250 ok
    S: 250 ok
    S: 451 4.3.0 disk
    = 10 deferred 4.3.0 451 4.3.0 disk
    = ready`,
  ],
  [
    'a 2yz to DATA is no 354: no content goes out',
    `${pipelined}${envelope}
    S: 250 ok
    S: 250 ok
    S: 250 ok
    = 10 deferred 4.5.0 out of step (reply): 250 ok
    = failed protocolError during data: 4.5.0 out of step (reply): 250 ok
    = close`,
  ],
  [
    '97: a 4yz to the message defers the accepted ones',
    `${oneSent}
    S: 452 4.3.1 full
    = 10 deferred 4.3.1 452 4.3.1 full`,
  ],
  [
    '97: a 5yz to the message fails the accepted ones',
    `${oneSent}
    S: 554 5.7.1 spam
    = 10 failed 5.7.1 554 5.7.1 spam`,
  ],
  [
    '98: lost after the dot is deferred and marked; the envelope behind it was not attempted',
    `${oneSent}
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    ! lost ECONNRESET
    = 10 deferred 4.4.2 connection lost (connection reset by peer, ECONNRESET) BODYSENT
    = 10 notAttempted
    = failed lost during content: 4.4.2 connection lost (connection reset by peer, ECONNRESET)
    = close`,
  ],
  [
    '98: 421 to the message is a final no, not an unknown',
    `${oneSent}
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    S: 421 4.3.0 shutting down
    = 10 deferred 4.3.0 421 4.3.0 shutting down
    = 10 notAttempted
    = failed serviceClosing during content: 4.3.0 421 4.3.0 shutting down
    = close`,
  ],
  [
    'lost before the dot on a fresh connection defers, so that one message cannot be tried without end',
    `${pipelined}${envelope}
    ! ended
    = 10 deferred 4.4.2 the remote closed the connection
    = failed lost during mail: 4.4.2 the remote closed the connection
    = close`,
  ],
  [
    'lost without any answer on a connection that had served others: not attempted',
    `${oneSent}
    S: 250 done
    = 10 delivered 2.0.0 250 done
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    ! lost
    = 10 notAttempted
    = failed lost during mail: 4.4.2 connection lost
    = close`,
  ],
  [
    'lost between replies: who was refused stays refused, the others are deferred',
    `${pipelined}
    ! deliver a@r.example b@r.example c@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<a@r.example>
     : RCPT TO:<b@r.example>
     : RCPT TO:<c@r.example>
     : DATA
    S: 250 ok
    S: 550 5.1.1 no
    S: 250 ok
    S: 421 4.7.0 enough
    = 10 failed 5.1.1 550 5.1.1 no
    = 11 deferred 4.7.0 421 4.7.0 enough
    = 12 deferred 4.7.0 421 4.7.0 enough
    = failed serviceClosing during rcpt: 4.7.0 421 4.7.0 enough
    = close`,
  ],
  [
    '100: a message above the limit of the remote fails with 5.3.4 before MAIL',
    `${pipelined}
    ! deliver a@r.example size=1001
    = 10 failed 5.3.4 message of 1001 bytes exceeds the remote's limit of 1000
    = ready
    ! deliver a@r.example size=1000
    C: MAIL FROM:<s@o.example> SIZE=1000
     : RCPT TO:<a@r.example>
     : DATA`,
  ],
  [
    '38: BODY=8BITMIME is said where it is true and offered',
    `${pipelined}
    ! deliver a@r.example 8bit from=
    C: MAIL FROM:<> SIZE=14 BODY=8BITMIME
     : RCPT TO:<a@r.example>
     : DATA`,
  ],
  [
    '42: SMTPUTF8 not offered fails who needs it, lets the others come again, and ASCII goes through',
    `${plain}
    ! deliver jos\u00e9@r.example a@r.example utf8
    = 10 failed 5.6.7 SMTPUTF8 is needed and the remote does not offer it
    = 11 notAttempted
    = ready
    ! deliver a@r.example utf8 from=jos\u00e9@o.example
    = 10 failed 5.6.7 SMTPUTF8 is needed and the remote does not offer it
    = ready
    ! deliver a@r.example utf8 body=X:\u00e9
    = 10 failed 5.6.7 SMTPUTF8 is needed and the remote does not offer it
    = ready
    ! deliver a@r.example utf8
    C: MAIL FROM:<s@o.example>`,
  ],
  [
    '42: SMTPUTF8 offered is used',
    `
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 smtputf8
    = ready
    ! deliver jos\u00e9@r.example utf8
    C: MAIL FROM:<s@o.example> SMTPUTF8
    S: 250 ok
    C: RCPT TO:<jos\u00e9@r.example>`,
  ],
  [
    '104: an unfriendly end of QUIT alters nothing',
    `${oneSent}
    S: 250 done
    = 10 delivered 2.0.0 250 done
    ! quit
    C: QUIT
    S: 554 no
    = close
    ! lost ECONNRESET`,
  ],
  [
    '104: a QUIT that is never answered closes after ten seconds',
    `${plain}
    ! quit
    C: QUIT
    ! wait 9999
    ! wait 1
    = close`,
  ],
  [
    '105: 452 behind an accepted recipient leaves the rest for the next transaction',
    `${pipelined}
    ! deliver a@r.example b@r.example c@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<a@r.example>
     : RCPT TO:<b@r.example>
     : RCPT TO:<c@r.example>
     : DATA
    S: 250 ok
    S: 250 ok
    S: 452 4.5.3 too many
    S: 452 too many
    S: 354 go${content}
    = ready
    S: 250 done
    = 10 delivered 2.0.0 250 done
    = 11 notAttempted
    = 12 notAttempted`,
  ],
  [
    '105: without PIPELINING the rest is not even tried',
    `${plain}
    ! deliver a@r.example b@r.example c@r.example
    C: MAIL FROM:<s@o.example>
    S: 250 ok
    C: RCPT TO:<a@r.example>
    S: 250 ok
    C: RCPT TO:<b@r.example>
    S: 552 5.5.3 too many
    C: DATA
    S: 354 go${content}
    S: 250 done
    = 10 delivered 2.0.0 250 done
    = 11 notAttempted
    = 12 notAttempted
    = ready`,
  ],
  [
    '105: 452 with nobody accepted is a deferral, or it would go round for ever',
    `${pipelined}${envelope}
    S: 250 ok
    S: 452 4.5.3 too many
    S: 503 none
    = 10 deferred 4.5.3 452 4.5.3 too many
    = ready`,
  ],
  [
    '107: replies in excess after the dot change no result and end the connection',
    `${oneSent}
    S: 250 one
    S: 250 two
    = 10 delivered 2.0.0 250 one
    = failed protocolError during idle: 4.5.0 out of step (reply): 250 two
    = close`,
  ],
  [
    '108: the enhanced code is that of the reply itself, never of the one before; 553 to RCPT is 5.1.1',
    `${pipelined}
    ! deliver a@r.example b@r.example c@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<a@r.example>
     : RCPT TO:<b@r.example>
     : RCPT TO:<c@r.example>
     : DATA
    S: 250 2.1.0 ok
    S: 550 5.2.1 asleep
    S: 550 no
    S: 553 no
    S: 554 5.5.1 nobody
    = 10 failed 5.2.1 550 5.2.1 asleep
    = 11 failed 5.0.0 550 no
    = 12 failed 5.1.1 553 no
    = ready`,
  ],
  [
    'an idle remote that says 421 or goes away is no fault of anybody',
    `${oneSent}
    S: 250 done
    = 10 delivered 2.0.0 250 done
    S: 421 idle too long
    = failed serviceClosing during idle: 4.0.0 421 idle too long
    = close
    ! deliver b@r.example
    = 10 notAttempted`,
  ],
  [
    'part of a reply nobody asked for is not taken for the reply to MAIL',
    `${plain}
    ! part 55
    ! deliver a@r.example
    = failed protocolError during idle: 4.5.0 a reply to nothing
    = close
    = 10 notAttempted`,
  ],
  [
    'RSET refused: the connection is given up and the message was not attempted',
    `${pipelined}${envelope}
    S: 550 no
    S: 503 no
    S: 503 no
    = 10 failed 5.0.0 550 no
    = ready
    ! deliver b@r.example
    C: RSET
     : MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    S: 502 what
    C: QUIT
    = 10 notAttempted
    = failed refused during rset for good: 5.0.0 502 what
    = close`,
  ],
  [
    'a connection that does not come is 4.4.1',
    `
    ! lost ECONNREFUSED
    = failed lost during connect: 4.4.1 no connection (connection refused, ECONNREFUSED)
    = close`,
  ],
  [
    '93: connecting, the greeting and commands have their deadlines',
    `
    ! wait 119999
    ! opened
    ! wait 300999
    S: 220 mx
    C: EHLO out.example
    ! wait 301999
    S: 250 mx
    = ready
    ! wait 99999999
    ! deliver a@r.example
    C: MAIL FROM:<s@o.example>
    ! wait 301999
    ! wait 1
    = 10 deferred 4.4.2 timed out waiting for the reply to MAIL
    = failed timedOut during mail: 4.4.2 timed out waiting for the reply to MAIL
    = close`,
  ],
  [
    '93: no connection in time',
    `
    ! wait 120000
    = failed timedOut during connect: 4.4.1 no connection in time
    = close`,
  ],
  [
    '93: the reply to the message may take ten minutes, then it is unknown',
    `${oneSent}
    ! wait 599999
    ! wait 1
    = 10 deferred 4.4.2 timed out waiting for the reply to the message BODYSENT
    = failed timedOut during content: 4.4.2 timed out waiting for the reply to the message
    = close`,
  ],
  [
    '93: a message that stands still is given up before its dot is out; one that moves goes on',
    `${oneSent}
    ! deadline 16
    ! deadline 7
    ! deadline 7
    = 10 deferred 4.4.2 timed out waiting for the reply to the message
    = failed timedOut during content: 4.4.2 timed out waiting for the reply to the message
    = close`,
  ],
  [
    'a yes to a message that has not left is no delivery',
    `${oneSent}
    ! held 1
    S: 250 2.0.0 taken
    = 10 deferred 4.5.0 out of step (too early): 250 2.0.0 taken
    = failed protocolError during content: 4.5.0 out of step (too early): 250 2.0.0 taken
    = close`,
  ],
  [
    'a no to a message that has not left counts, and the connection goes on',
    `${oneSent}
    ! held 1
    S: 552 5.3.4 too big
    = 10 failed 5.3.4 552 5.3.4 too big
    ! held 0${envelope}
    S: 250 2.1.0 ok
    S: 250 2.1.5 ok
    S: 354 go${content}
    = ready`,
  ],
  [
    'commands that have not left do not matter to the message before them',
    `${oneSent}
    ! deliver b@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
     : RCPT TO:<b@r.example>
     : DATA
    ! held 20
    S: 250 2.0.0 first
    = 10 delivered 2.0.0 250 2.0.0 first`,
  ],
  [
    '93: the ten minutes begin when the last octet has left',
    `${oneSent}
    ! deadline 9
    ! held 9
    ! wait 100000
    ! held 0
    ! drained
    ! wait 599999
    ! wait 1
    = 10 deferred 4.4.2 timed out waiting for the reply to the message BODYSENT
    = failed timedOut during content: 4.4.2 timed out waiting for the reply to the message
    = close`,
  ],
  [
    'A28: a reply that never ends is given up when its own time is over',
    `
    ! opened
    ! wait 300000
    ! part 220-wel
    ! wait 302999
    ! part come
    ! wait 1
    = failed timedOut during greeting: 4.4.2 timed out waiting for the greeting
    = close`,
  ],
  [
    'STARTTLS is used where it is offered; what was offered in the clear is forgotten',
    `
    ! with starttls=ifOffered
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250-PIPELINING
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go ahead
    = startTls
    ! secured
    C: EHLO out.example
    S: 250-mx
    S: 250-STARTTLS
    S: 250 SIZE 0
    = ready
    ! deliver a@r.example
    C: MAIL FROM:<s@o.example> SIZE=14
    S: 250 ok
    C: RCPT TO:<a@r.example>`,
  ],
  [
    'not offered, TLS that may be is left out, and TLS that must be keeps the mail here',
    `
    ! with starttls=required
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 PIPELINING
    C: QUIT
    = failed refused during ehlo: 4.7.4 no TLS, which is required: not offered
    = close`,
  ],
  [
    'where only HELO is known there is no TLS',
    `
    ! with starttls=required
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 500 what
    C: HELO out.example
    S: 250 mx
    C: QUIT
    = failed refused during helo: 4.7.4 no TLS, which is required: not offered
    = close`,
  ],
  [
    'STARTTLS refused, the dialogue goes on in the clear where it may',
    `
    ! with starttls=ifOffered
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 STARTTLS
    C: STARTTLS
    S: 454 4.7.0 TLS not available
    = ready
    ! deliver a@r.example
    C: MAIL FROM:<s@o.example>`,
  ],
  [
    'STARTTLS refused, the connection ends where TLS is required',
    `
    ! with starttls=required
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 STARTTLS
    C: STARTTLS
    S: 454 4.7.0 TLS not available
    C: QUIT
    = failed refused during starttls: 4.7.4 no TLS, which is required: 454 4.7.0 TLS not available
    = close`,
  ],
  [
    'a handshake that fails is told as what it is',
    `
    ! with starttls=ifOffered
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go
    = startTls
    ! lost ERR_SSL_WRONG_VERSION_NUMBER
    = failed tlsFailed during tls: 4.7.5 TLS failed: ERR_SSL_WRONG_VERSION_NUMBER
    = close`,
  ],
  [
    'A28: a handshake that never ends has the time of a connection that opens',
    `
    ! with starttls=ifOffered
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go
    = startTls
    ! wait 119999
    ! wait 1
    = failed tlsFailed during tls: 4.7.5 TLS failed: timed out waiting for the TLS handshake
    = close`,
  ],
  [
    'a remote that leaves upon STARTTLS has no TLS either',
    `
    ! with starttls=ifOffered
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 STARTTLS
    C: STARTTLS
    ! ended
    = failed tlsFailed during starttls: 4.7.5 TLS failed: the remote closed the connection
    = close`,
  ],
  [
    'ignored keywords are shown and not made use of',
    `
    ! with ignored=PIPELINING,8BITMIME
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250-PIPELINING
    S: 250-SIZE
    S: 250 8BITMIME
    = ready
    ! deliver a@r.example 8bit
    C: MAIL FROM:<s@o.example> SIZE=14
    S: 250 ok
    C: RCPT TO:<a@r.example>`,
  ],
  [
    'content of 8 bits goes as it is where 8BITMIME is not offered',
    `${plain}
    ! deliver a@r.example 8bit
    C: MAIL FROM:<s@o.example>`,
  ],
  [
    'max-errors-per-connection: the transaction that has the last refusal is finished, then QUIT',
    `
    ! with maxErrors=2
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250-mx
    S: 250 PIPELINING
    = ready
    ! deliver a@r.example b@r.example c@r.example
    C: MAIL FROM:<s@o.example>
     : RCPT TO:<a@r.example>
     : RCPT TO:<b@r.example>
     : RCPT TO:<c@r.example>
     : DATA
    S: 250 ok
    S: 550 5.1.1 no
    S: 250 ok
    S: 450 4.2.0 no
    S: 354 go${content}
    S: 250 taken
    = 10 failed 5.1.1 550 5.1.1 no
    = 11 delivered 2.0.0 250 taken
    = 12 deferred 4.2.0 450 4.2.0 no
    C: QUIT
    S: 221 bye
    = close`,
  ],
  [
    'max-errors-per-connection: without PIPELINING the rest is not attempted here',
    `
    ! with maxErrors=1
    ! opened
    S: 220 mx
    C: EHLO out.example
    S: 250 mx
    = ready
    ! deliver a@r.example b@r.example
    C: MAIL FROM:<s@o.example>
    S: 250 ok
    C: RCPT TO:<a@r.example>
    S: 550 5.1.1 no
    = 10 failed 5.1.1 550 5.1.1 no
    = 11 notAttempted
    C: QUIT`,
  ],
];

describe('a dialogue', () => {
  test.each(dialogues)('%s', (_promise, script) => {
    expect(play(script, false)).toEqual(linesOf(script));
  });
});

describe('byte by byte', () => {
  test.each(dialogues)('%s', (_promise, script) => {
    expect(play(script, true)).toEqual(linesOf(script));
  });
});

test.each([
  ['behind the reply to STARTTLS', '220 go\r\n250 injected\r\n'],
  ['the beginning of a line behind it', '220 go\r\n25'],
])('A7: octets %s are never answers to what is said inside TLS', (_, text) => {
  const session = new ClientSession({ ...settings, starttls: 'ifOffered' }, 0);
  session.opened(0);
  session.received(bytes('220 mx\r\n'), 0);
  session.received(bytes('250-mx\r\n250 STARTTLS\r\n'), 0);
  const said = told(session.received(bytes(text), 0));
  expect(said).toHaveLength(2);
  expect(said[0]).toContain('failed protocolError during tls');
  expect(said[1]).toBe('= close');
});

test('A7: octets in the clear during the handshake end it', () => {
  const session = new ClientSession({ ...settings, starttls: 'ifOffered' }, 0);
  session.opened(0);
  session.received(bytes('220 mx\r\n'), 0);
  session.received(bytes('250-mx\r\n250 STARTTLS\r\n'), 0);
  expect(told(session.received(bytes('220 go\r\n'), 0))).toEqual(['= startTls']);
  expect(told(session.received(bytes('250 injected\r\n'), 0))[0]).toContain('failed protocolError');
});

function ready(capabilities: string): ClientSession {
  const session = new ClientSession(settings, 0);
  session.opened(0);
  session.received(bytes('220 mx\r\n'), 0);
  session.received(bytes(`250-mx\r\n${capabilities}250 HELP\r\n`), 0);
  return session;
}

test('keywords are remembered in their order, without what is no keyword', () => {
  expect(ready('250-SIZE 10\r\n250-pipelining\r\n250-AUTH=LOGIN\r\n250-\r\n').esmtpAvailable).toBe(
    'SIZE,PIPELINING,HELP',
  );
});

test('who delivers before writing gets content and next envelope out of consecutive sends', () => {
  const session = ready('250-PIPELINING\r\n');
  session.deliver(transactionOf('a@r.example'), 0);
  const todo = [...session.received(bytes('250 ok\r\n250 ok\r\n354 go\r\n'), 0)];
  let write = '';
  for (let effect = todo.shift(); effect !== undefined; effect = todo.shift()) {
    if (effect.kind === 'send') write += textOf(effect.chunks);
    if (effect.kind === 'ready') todo.push(...session.deliver(transactionOf('b@r.example'), 0));
  }
  expect(write).toBe('Subject: a\r\n\r\n.\r\nMAIL FROM:<s@o.example>\r\nRCPT TO:<b@r.example>\r\nDATA\r\n');
});

test('a reply that comes before its command could have been seen is out of step', () => {
  const session = ready('');
  session.deliver(transactionOf('a@r.example'), 0);
  expect(told(session.received(bytes('250 ok\r\n250 ok\r\n'), 0))).toEqual([
    'C: RCPT TO:<a@r.example>',
    '= 10 deferred 4.5.0 out of step (reply): 250 ok',
    '= failed protocolError during rcpt: 4.5.0 out of step (reply): 250 ok',
    '= close',
  ]);
});

test('101: a thousand recipients go out in bounded groups, and DATA comes last', () => {
  const session = ready('250-PIPELINING\r\n');
  const names = Array.from({ length: 1000 }, (_, i) => `u${i}@r.example`);
  let effects = session.deliver(transactionOf(names.join(' ')), 0);
  const groups: number[] = [];
  for (let go = true; go; ) {
    const lines = told(effects);
    groups.push(lines.length);
    go = !lines.at(-1)!.endsWith('DATA');
    effects = session.received(
      bytes(`${'250 ok\r\n'.repeat(lines.length - (go ? 0 : 1))}${go ? '' : '354 go\r\n'}`),
      0,
    );
  }
  expect(groups).toEqual([128, 128, 128, 128, 128, 128, 128, 106]);
  expect(told(effects).at(-1)).toBe('= ready');
});

test('94: an endless reply is cut off and ends the connection', () => {
  const session = new ClientSession(settings, 0);
  session.opened(0);
  const said: string[] = [];
  for (let i = 0; i < 100; i++) said.push(...told(session.received(bytes('220-welcome\r\n'.repeat(100)), 0)));
  expect(said).toHaveLength(2);
  expect(said[0]).toContain('protocolError during greeting');
  expect(said[1]).toBe('= close');
});

test.each([
  'a\r\nDATA@r.example',
  'a\n@r.example',
  'a\0@r.example',
])('A30: a path with a line end or NUL never leaves: %j', (forwardPath) => {
  const session = ready('');
  session.deliver(transactionOf('a@r.example'), 0);
  session.received(bytes('550 no\r\n'), 0);
  const transaction = { ...transactionOf('a@r.example'), recipients: [{ index: 0, forwardPath }] };
  session.deliver(transaction, 0);
  session.received(bytes('250 reset\r\n'), 0);
  expect(() => session.received(bytes('250 ok\r\n'), 0)).toThrow('CR, LF or NUL');
});

test('a long message ends its write, so that what waits behind it tells nothing of it', () => {
  const long = `size=70000 body=${'x'.repeat(70_000)}`;
  const envelopeBytes = textOf(sentBy(`b@r.example`).chunks).length;
  const settled = (heldBytes: number): unknown => {
    const session = open();
    session.deliver(transactionOf(`a@r.example ${long}`), 0);
    const sent = session.received(bytes('250 ok\r\n250 ok\r\n354 go\r\n'), 0);
    expect(sent[0]).toMatchObject({ kind: 'send', of: 'content', endsWrite: true });
    session.deliver(transactionOf('b@r.example'), 0);
    const [first] = session.received(bytes('250 taken\r\n'), 0, heldBytes);
    return first!.kind === 'settled' && first!.results[0]!.kind;
  };
  expect(settled(0)).toBe('delivered');
  expect(settled(envelopeBytes)).toBe('delivered');
  expect(settled(envelopeBytes + 1)).toBe('deferred');
});

/** A session that waits for its first transaction. */
function open(): ClientSession {
  const session = new ClientSession(settings, 0);
  session.opened(0);
  session.received(bytes('220 mx\r\n'), 0);
  session.received(bytes('250-mx\r\n250 PIPELINING\r\n'), 0);
  return session;
}

/** The envelope of a transaction. */
function sentBy(words: string): Extract<ClientEffect, { kind: 'send' }> {
  const [effect] = open().deliver(transactionOf(words), 0);
  return effect as Extract<ClientEffect, { kind: 'send' }>;
}
