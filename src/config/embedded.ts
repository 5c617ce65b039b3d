/** The name the embedded configuration goes by in messages. */
export const embeddedConfigName = 'embedded default';

/**
 * A configuration that runs anywhere and reaches nobody: three loopback listeners, one pool and one
 * virtual MTA each, everything delivered to the built-in receiver.
 */
export const embeddedConfigText = `# Penstock's embedded configuration: used when no file is given.
postmaster postmaster@penstock.test

# Separate ports keep the three streams apart, down to the address they leave from.
<smtp-listener 127.0.0.1:2525>
    default-virtual-mta-pool transactional-pool
</smtp-listener>
<smtp-listener 127.0.0.1:2526>
    default-virtual-mta-pool marketing-pool
</smtp-listener>
<smtp-listener 127.0.0.1:2527>
    default-virtual-mta-pool cold-outreach-pool
</smtp-listener>
total-max-smtp-in 2000

<virtual-mta mta1>
    smtp-source-host 127.0.0.11 mta1.penstock.test
</virtual-mta>
<virtual-mta mta2>
    smtp-source-host 127.0.0.12 mta2.penstock.test
</virtual-mta>
<virtual-mta mta3>
    smtp-source-host 127.0.0.13 mta3.penstock.test
</virtual-mta>

<virtual-mta-pool transactional-pool>
    virtual-mta mta1
</virtual-mta-pool>
<virtual-mta-pool marketing-pool>
    virtual-mta mta2
</virtual-mta-pool>
<virtual-mta-pool cold-outreach-pool>
    virtual-mta mta3
</virtual-mta-pool>

# The built-in receiver takes all mail; nothing leaves this host.
<domain *>
    smtp-hosts [127.0.0.1]:2600
    retry-after 1m
</domain>

<spool ./var/spool>
</spool>
log-file ./var/log/penstock.log
<acct-file ./var/log/acct.csv>
    records d,b,t,r
</acct-file>
`;
