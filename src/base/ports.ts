/**
 * The outside world as types. A pure file that needs time, chance, disk or network receives one of
 * these; `base/node/` holds the real ones, `simulation/` the deterministic ones.
 */

export interface Clock {
  /** Wall time in milliseconds since 1970-01-01 UTC. May step; use it for what people read. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start. Never steps back; use it for intervals and deadlines. */
  monotonicMs(): number;
  /** Minutes the local zone is ahead of UTC at that wall time (accounting times are local). */
  zoneOffsetMinutes(wallMs: number): number;
  /** Calls back once, behind the events that have already happened. */
  soon(callback: () => void): void;
  /** Calls back once, at the earliest `delayMs` from now. */
  after(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export interface Random {
  /** A uniform integer in [0, 2^32). */
  u32(): number;
}

/** What an operation of `Disk` rejects with. `code` is the system's word: ENOENT, EIO, ENOSPC, EEXIST ... */
export interface DiskError extends Error {
  readonly code: string;
}

export interface Disk {
  /** Names (not paths) in a folder, in no order. Rejects with ENOENT when there is none. */
  list(folder: string): Promise<readonly string[]>;
  /** Creates the folder and its parents, mode 0700, durably; fine when it exists. */
  makeFolder(folder: string): Promise<void>;
  /**
   * `create`: read and write, must not exist. `write`: read and write, must exist. `read`: must exist.
   */
  open(path: string, how: 'create' | 'write' | 'read', mode?: number): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes creations, renames and unlinks in this folder durable. */
  syncFolder(folder: string): Promise<void>;
  /** Of the file system that holds the folder. */
  space(folder: string): Promise<DiskSpace>;
}

export interface DiskSpace {
  /** What this process may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface DiskFile {
  /** Writes all of the chunks one behind the other from `position` on; short writes are finished. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * `write`, then the data just written is synced, as one operation (O_DSYNC). Two may be under way at
   * once; each promises its own bytes only. A rejection is final, as that of `sync`.
   */
  writeSynced(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** Reads up to `lengthBytes`; the result is shorter only at the end of the file. */
  read(position: number, lengthBytes: number): Promise<Uint8Array>;
  /** fdatasync. A rejection is final: what was written since the last success may be lost. */
  sync(): Promise<void>;
  sizeBytes(): Promise<number>;
  /** Inode number: tells a file from another that took its name. */
  identity(): Promise<number>;
  truncate(lengthBytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface Endpoint {
  /** Canonical text of an IPv4 or IPv6 address, without brackets or zone. */
  readonly address: string;
  readonly port: number;
}

/** One byte stream, either direction. */
export interface Connection {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Bytes handed over but not yet taken by the kernel. */
  unsentBytes(): number;
  /** All chunks go out in one write. The caller must not change them afterwards. */
  write(chunks: readonly Uint8Array[]): void;
  pause(): void;
  resume(): void;
  /**
   * Begins a TLS handshake as the client; `secured` comes when it is done, and from then on the connection
   * carries what TLS carries. A handshake that fails gives only `closed(code)`. Until then nothing may be
   * written and nothing is received; nothing may be pending.
   */
  startTls(options: TlsClientOptions, secured: (tls: TlsFacts) => void): void;
  /** Sends what is pending, then FIN. */
  end(): void;
  /** Drops the connection at once (RST where the platform can). */
  reset(): void;
}

export interface TlsClientOptions {
  /** The name the peer is known by: said to it (RFC 6066 section 3) and, with authorities, to be proved. */
  readonly serverName: string;
  /** File of PEM certificates that vouch for the peer; '': it is not verified. */
  readonly authoritiesFile: string;
  /** OpenSSL's cipher list for TLS 1.2; '': the platform's. */
  readonly ciphers: string;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Resume the session of an earlier connection to the same peer. */
  readonly resumes: boolean;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

export interface TlsFacts {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** `TLS_AES_256_GCM_SHA384` */
  readonly cipher: string;
}

/** What a connection tells its owner. After `closed` nothing else comes. */
export interface ConnectionEvents {
  received(bytes: Uint8Array): void;
  /** The peer sent FIN; our side may still write. */
  ended(): void;
  /** The kernel took everything that was pending. */
  drained(): void;
  /** `error` is the system's code (ECONNRESET, ETIMEDOUT ...), undefined after an orderly end. */
  closed(error: string | undefined): void;
}

export interface ConnectOptions {
  readonly remote: Endpoint;
  /** The local address to bind, or undefined for the system's choice. */
  readonly localAddress: string | undefined;
}

export interface Net {
  /** Calls `accept` for each connection. Rejects with the system's code (EADDRINUSE, EACCES ...). */
  listen(at: Endpoint, accept: (connection: Connection) => ConnectionEvents): Promise<Listening>;
  /** `opened` comes once, before any other event; a failed attempt gives only `closed(code)`. */
  connect(
    options: ConnectOptions,
    opened: (connection: Connection) => void,
    events: ConnectionEvents,
  ): PendingConnection;
}

export interface Listening {
  readonly at: Endpoint;
  /** Stops accepting; connections that were accepted stay. */
  close(): Promise<void>;
}

export interface PendingConnection {
  /** Gives up an attempt that has not opened; afterwards no event comes. */
  abandon(): void;
}

/** What a record of each type says. Names are lower case without a final dot; the root is `.`. */
export interface DnsData {
  /** Canonical text of the address. */
  readonly A: string;
  readonly AAAA: string;
  readonly MX: MxRecord;
}

export type DnsType = keyof DnsData;

export interface MxRecord {
  /** The lowest is tried first. */
  readonly preference: number;
  readonly exchange: string;
}

/** What is asked of name servers. */
export interface Dns {
  /** One question, its answer not kept here. Aliases are followed. Never rejects: a failure is a value. */
  query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<DnsData[T]>>;
}

/** `ttlMs`: how long the answer may be kept; 0: it must not be. */
export type DnsAnswer<Data> =
  /** Never empty. */
  | { readonly kind: 'found'; readonly records: readonly Data[]; readonly ttlMs: number }
  /** NXDOMAIN, or with `exists` a name without records of that type (RFC 2308 2). */
  | { readonly kind: 'none'; readonly exists: boolean; readonly ttlMs: number }
  /** SERVFAIL, REFUSED, TIMEOUT, ECONNREFUSED ...: ask again later. */
  | { readonly kind: 'failed'; readonly code: string };

export interface Digest {
  /** CRC-32 (IEEE 802.3) of `bytes`, continuing from `seed`. */
  crc32(bytes: Uint8Array, seed: number): number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Log {
  /** `event` is a stable dotted word (`listener.refused`); `fields` never hold secrets. */
  write(level: LogLevel, event: string, fields?: Readonly<Record<string, unknown>>): void;
}
