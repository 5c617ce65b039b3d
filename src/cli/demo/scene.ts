/** What the demo sends, from where and to whom, as data: who looks for the two planted faults finds them here. */
import { type Isp, isps } from '../../simulation/isps.ts';
import type { ReceiverPolicy } from '../../simulation/receiverPolicy.ts';

export interface Job {
  readonly name: string;
  readonly from: string;
  /** Where its bounces go: the envelope's sender. */
  readonly returnPath: string;
  /** The d= of its DKIM-Signature. */
  readonly signer: string;
  readonly subject: string;
  /** Of the messages of its stream. */
  readonly weight: number;
}

/** One listener and what comes in there. */
export interface Stream {
  /** As in the embedded default; taken as a wish where it is in use. */
  readonly port: number;
  readonly pool: string;
  /** One virtual MTA each. */
  readonly addresses: readonly string[];
  readonly jobs: readonly Job[];
  /** Of all messages. */
  readonly weight: number;
}

const job = (name: string, mailbox: string, signer: string, subject: string, weight: number): Job => ({
  name,
  from: `${mailbox}@${signer}`,
  returnPath: `bounces@${signer}`,
  signer,
  subject,
  weight,
});

export const streams: readonly Stream[] = [
  {
    port: 2525,
    pool: 'transactional-pool',
    addresses: ['127.0.0.11', '127.0.0.12'],
    jobs: [
      job('receipts', 'orders', 'shop.test', 'Your order has been received', 3),
      job('sign-in', 'account', 'shop.test', 'Your code to sign in', 2),
    ],
    weight: 25,
  },
  {
    port: 2526,
    pool: 'marketing-pool',
    addresses: ['127.0.0.21', '127.0.0.22', '127.0.0.23'],
    jobs: [
      job('newsletter-48', 'editor', 'news.test', 'What happened this week', 4),
      job('offers-48', 'hello', 'deals.test', 'Three days of lower prices', 1),
    ],
    weight: 60,
  },
  {
    port: 2527,
    pool: 'cold-outreach-pool',
    addresses: ['127.0.0.31'],
    jobs: [job('outreach-7', 'anna', 'outreach.test', 'A question about your team', 1)],
    weight: 15,
  },
];

/** An ISP, where its receiver listens, and how much goes there. */
export interface Destination {
  readonly isp: Isp;
  readonly address: string;
  readonly policy: ReceiverPolicy;
  readonly weight: number;
}

/** First planted fault: no ISP trusts this address, though its neighbours send the same mail. */
const badAddress = '127.0.0.22';
/** Second planted fault: its signatures convince nobody who looks at them. */
const badSigner = 'deals.test';

/** The port receivers listen on, each on an address of its own. */
export const receiverPort = 2600;

export const destinations: readonly Destination[] = [
  {
    isp: isps.gmail,
    address: '127.0.0.101',
    policy: {
      ...isps.gmail.policy,
      distrusted: [{ clientAddress: badAddress, deferRate: 0.55, blockRate: 0 }],
      unauthenticated: [badSigner],
    },
    weight: 50,
  },
  {
    isp: isps.microsoft,
    address: '127.0.0.102',
    policy: {
      ...isps.microsoft.policy,
      distrusted: [{ clientAddress: badAddress, deferRate: 0.55, blockRate: 0.06 }],
      unauthenticated: [badSigner],
    },
    weight: 30,
  },
  {
    isp: isps.yahoo,
    address: '127.0.0.103',
    policy: {
      ...isps.yahoo.policy,
      distrusted: [{ clientAddress: badAddress, deferRate: 0.4, blockRate: 0 }],
    },
    weight: 20,
  },
];

/** Takes what goes to anybody else, such as reports to the senders. */
export const everybodyElse = '127.0.0.100';
