import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Reads a report with Python's email package, which shares nothing with ours. */
const reader = `
import email, email.policy, json, sys
message = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
text, status, returned = message.iter_parts()
print(json.dumps({
  'type': message.get_content_type(),
  'report': message.get_param('report-type'),
  'defects': [str(one) for part in message.walk() for one in part.defects],
  'text': text.get_content(),
  'statusType': status.get_content_type(),
  'groups': [dict(group.items()) for group in status.get_payload()] if status.is_multipart() else [],
  'returnedType': returned.get_content_type(),
  'returned': returned.get_payload(decode=True).decode() if not returned.is_multipart() else None,
}))
`;

interface ReadReport {
  readonly type: string;
  readonly report: string;
  readonly defects: readonly string[];
  readonly text: string;
  readonly statusType: string;
  readonly groups: readonly Readonly<Record<string, string>>[];
  readonly returnedType: string;
  readonly returned: string | null;
}

function read(name: string): ReadReport {
  return JSON.parse(execFileSync('python3', ['-c', reader, `test/dsn/${name}.golden`], { encoding: 'utf8' }));
}

test("Python's email package reads a report as it was meant", () => {
  const report = read('plain');
  expect(report).toMatchObject({
    type: 'multipart/report',
    report: 'delivery-status',
    defects: [],
    statusType: 'message/delivery-status',
    returnedType: 'text/rfc822-headers',
    returned: 'From: <news@sender.example>\nSubject: The news\n',
  });
  expect(report.groups).toMatchObject([
    { 'Reporting-MTA': 'dns; mx.sender.example' },
    {
      'Final-Recipient': 'rfc822; nobody@isp.example',
      Action: 'failed',
      Status: '5.1.1',
      'Remote-MTA': 'dns; mx1.isp.example',
      'Diagnostic-Code':
        'smtp; 550 5.1.1 <nobody@isp.example>: no such user here, see https://isp.example/help for what to do',
    },
  ]);
});

test('it finds each recipient, and the header that was encoded', () => {
  const { groups, returned, defects } = read('expired');
  expect(groups.map((group) => group['Final-Recipient'])).toEqual([
    undefined,
    'rfc822; one@slow.example',
    'utf-8; j\\x{F6}rg@slow.example',
  ]);
  expect(returned).toBe('From: Jörg <j@sender.example>\nSubject: =?x?= \n');
  expect(defects).toEqual([]);
});
