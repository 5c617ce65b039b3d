import { contentHash, dotStuffed } from '../ledger/content.ts';
import type { Submission } from '../ledger/ledger.ts';
import { SmtpConversation } from '../ledger/smtpConversation.ts';

export interface Letter {
  readonly from?: string;
  readonly to: readonly string[];
  /** Behind MAIL FROM, `SMTPUTF8`. */
  readonly parameters?: string;
  /** In CRLF lines. */
  readonly content?: Buffer;
  /** Sent with BDAT in chunks of this size instead of DATA. */
  readonly chunkBytes?: number;
}

export interface Told {
  readonly mail: string | undefined;
  /** One for each of `to`. */
  readonly recipients: readonly (string | undefined)[];
  /** After the content; undefined when none was sent, or the connection ended. */
  readonly final: string | undefined;
  readonly hello: string;
}

/** Sends one message on a connection of its own, command by command, and notes what was promised for it. */
export async function submit(submissions: Submission[], port: number, letter: Letter): Promise<Told> {
  const { from = 'sender@letter.test', to, parameters, chunkBytes } = letter;
  const content = letter.content ?? Buffer.from(`Subject: to ${to[0]}\r\n\r\nhello\r\n`);
  const conversation = new SmtpConversation(port);
  const say = (command: string): Promise<string | undefined> => {
    conversation.write(`${command}\r\n`);
    return conversation.reply();
  };
  await conversation.reply();
  const hello = (await say('EHLO letter.test')) ?? '';
  const mail = await say(`MAIL FROM:<${from}>${parameters === undefined ? '' : ` ${parameters}`}`);
  const recipients: (string | undefined)[] = [];
  for (const address of to) recipients.push(await say(`RCPT TO:<${address}>`));
  let final: string | undefined;
  if (recipients.some((reply) => reply?.startsWith('250'))) {
    if (chunkBytes === undefined) {
      await say('DATA');
      conversation.write(Buffer.concat([dotStuffed(content), Buffer.from('.\r\n')]));
      final = await conversation.reply();
    } else final = await sendChunks(conversation, content, chunkBytes);
    const told = final === undefined ? 'unanswered' : final.startsWith('250') ? 'stored' : 'refused';
    to.forEach((recipient, i) => {
      if (recipients[i]?.startsWith('250')) {
        submissions.push({ recipient, contentHash: contentHash(content), told });
      }
    });
  }
  conversation.close();
  return { mail, recipients, final, hello };
}

async function sendChunks(
  conversation: SmtpConversation,
  content: Buffer,
  chunkBytes: number,
): Promise<string | undefined> {
  let reply: string | undefined;
  for (let at = 0; at < content.length; at += chunkBytes) {
    const chunk = content.subarray(at, at + chunkBytes);
    const last = at + chunkBytes >= content.length ? ' LAST' : '';
    conversation.write(Buffer.concat([Buffer.from(`BDAT ${chunk.length}${last}\r\n`), chunk]));
    reply = await conversation.reply();
  }
  return reply;
}
