// Explicit-state (breadth-first, exhaustive within bounds) model of the spool protocol (architecture 5).
// Usage: ./model [key=value ...], `./model options` lists the keys; see README.md
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>
typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
enum { NSEG = 6, MB = 3, NR = 4, NM = 3, NROW = 7 };
// ---- options: name, default, what it does ----
// Bounds
#define OPTIONS_0(X)                                                              \
  X(msgs, 2, "messages offered; message 0 has two recipients, message 1 has one") \
  X(bps, 2, "batches a segment holds")                                            \
  X(segs, 6, "segment names; a run that needs more is cut, and says so")          \
  X(crash, 2, "crashes of any kind")                                              \
  X(fail, 1, "failed data or directory syncs, recovery's included")               \
  X(cf, 1, "snapshots of copy-forward")                                           \
  X(kinds, 7, "bit mask: 1 engine killed, 2 supervisor killed, 4 power loss")     \
  X(max, 60000000, "stop at this many states")
// What takes part
#define OPTIONS_1(X)                                                                                     \
  X(real, 0, "as the code: an own first batch before ids, held 451s, orphans last")                      \
  X(big, 0, "message 0 has a body file")                                                                 \
  X(rot, 0, "rotations of the accounting file")                                                          \
  X(csvFail, 0, "failed syncs of the accounting file")                                                   \
  X(def, 0, "deferrals")                                                                                 \
  X(rotm, 0, "frames or records that become unreadable at rest")                                         \
  X(rotAny, 0, "rot also where nothing covers the batch")                                                \
  X(rotFooted, 0, "rot only where a footer tells what the batch held")                                   \
  X(foot, 0, "footers: 1 unsynced, 2 synced before the successor opens")                                 \
  X(q, 0, "changes of one queue's state")                                                                \
  X(qdef, 0, "version 2 of the state is the default one")                                                \
  X(qFirst, 0, "states stand in the first batch of every segment; no copy-forward of states")            \
  X(pu, 0, "purges")                                                                                     \
  X(puAtt, 1, "an attempt may be under way when its recipient is deleted")                               \
  X(recs2, 0, "a second accounting file with a cursor of its own")                                       \
  X(dsn, 0, "message 1 is the DSN that recipient 0's outcome causes")                                    \
  X(rew, 0,                                                                                              \
    "recovery writes again: 0 all segments, 1 what no successor counts, 2 only the newest of the chain") \
  X(planCheck, 0,                                                                                        \
    "0 none, 1 the chain is read again after the syncs, 2 headers are written from the bytes read first")
// Fineness
#define OPTIONS_2(X)                                                   \
  X(sym, 1, "recipients 0 and 1 of message 0 are interchangeable")     \
  X(strict, 1, "what an earlier recovery brought back may not vanish") \
  X(killTorn, 1, "an engine kill may leave the last write half done")  \
  X(evict, 1, "the kernel may drop a page that it could not write")    \
  X(evictHdr, 1, "the same for headers")                               \
  X(check451, 0, "a message answered 451 must not come back")          \
  X(noLeft, 0, "segments may be left at rest")                         \
  X(alt451late, 0, "the 451 waits for the next segment")               \
  X(unl451late, 0, "the body file goes with that 451")                 \
  X(altFirstDur, 0, "recovery's own segment is durable at once")
// The repairs of RESULTS.md section 2; `fixed` turns all of them on
#define OPTIONS_3(X)   \
  X(fDirAny, 0, "V1")  \
  X(fRecDir, 0, "V2")  \
  X(fRewrite, 0, "V3") \
  X(fRecWait, 0, "V4") \
  X(fUnlDir, 0, "V5")  \
  X(fCurDir, 0, "V6")  \
  X(fVoid, 0, "V7")
// Planted bugs and dangerous readings
#define OPTIONS_4(X)                                                             \
  X(replyEarly, 0, "250 before the sync")                                        \
  X(pastWm, 0, "the recorder reads past the watermark")                          \
  X(reclaimAny, 0, "segments go in any order")                                   \
  X(reclaimCond, 0, "the page's general condition instead of oldest first")      \
  X(recNoSync, 0, "recovery syncs nothing")                                      \
  X(recSyncFailGoesOn, 0, "recovery goes on after its failed sync")              \
  X(curFirst, 0, "cursor before the CSV's sync")                                 \
  X(curNotDur, 0, "cursor reported before its directory sync")                   \
  X(epochSeg, 0, "start epoch from the headers alone")                           \
  X(cfEarly, 0, "the old segment goes before the snapshot is synced")            \
  X(cfAny, 0, "any segment's messages are copied forward (sound)")               \
  X(cfNoCursor, 0, "unlink without waiting for the cursor")                      \
  X(snapSynced, 0, "a snapshot names recipients whose outcome is in flight")     \
  X(snapNoAtt, 0, "a snapshot without the attempts")                             \
  X(noDirSync, 0, "directory never synced")                                      \
  X(trustLater, 0, "a later sync is believed after a failed one")                \
  X(owedUnsynced, 0, "owed ends with the outcome in memory")                     \
  X(tailB, 0, "a whole batch behind a torn one is kept")                         \
  X(rollOverlap, 0, "a new segment opens while the old one syncs")               \
  X(ignLast, 0, "the header's last counting batch is ignored")                   \
  X(predAny, 0, "the predecessor may be a segment without a counting batch")     \
  X(bodyNoDir, 0, "body file's directory not synced")                            \
  X(bodyEarly, 0, "body file goes before the outcome is synced")                 \
  X(bodyWithSeg, 0, "body file goes with the segment of its envelope")           \
  X(cur451unlink, 0, "body file goes with a 451 at once")                        \
  X(orphFirst, 0, "orphans are removed before recovery's syncs")                 \
  X(orphByEnv, 0, "only envelopes name body files, snapshots do not")            \
  X(rotNoDir, 0, "new CSV's directory not synced")                               \
  X(csvRetry, 0, "a failed CSV sync is repeated and believed")                   \
  X(footEarly, 0, "footer written while the last batch is in flight")            \
  X(footStale, 0, "footer written before the segment is full")                   \
  X(footNoHdr, 0, "footer used without a successor's header")                    \
  X(footAnyLast, 0, "footer used although the header counts another last batch") \
  X(footNoOut, 0, "footer without the outcomes")                                 \
  X(qNoCopy, 0, "states are not put again before their segment goes")            \
  X(qUnsynced, 0, "the newer state need only be put, not synced")                \
  X(qOver, 0, "a failed batch's state replaces a newer one that gathers")        \
  X(qDrop, 0, "a failed batch's state is dropped")                               \
  X(qCopySynced, 0, "the synced state is copied behind a newer one in flight")   \
  X(rotSend, 0, "salvage sends whatever seems owed")                             \
  X(rotStop, 0, "rot ends its segment")                                          \
  X(rotSnapClears, 0, "a snapshot frees held recipients")                        \
  X(rotCurNoCover, 0, "an accounting position vouches for nothing")              \
  X(rotCurOnly, 0, "only the cursor does, not what the recorder has read")       \
  X(rotRecSkips, 0, "the recorder passes a damaged batch by itself (sound)")     \
  X(puSnap, 0, "a snapshot without the deleted mark")                            \
  X(puFinal, 0, "deleted counts as done before its outcome")                     \
  X(puDrop, 0, "a failed batch's purge is dropped")                              \
  X(puEarly, 0, "purge answered before it is synced")                            \
  X(puNoRow, 0, "recovery takes deleted for done")                               \
  X(maxCur, 0, "reclaim waits for the foremost cursor")                          \
  X(firstCur, 0, "reclaim waits for the first cursor")                           \
  X(dsnLater, 0, "the DSN follows in a later batch")                             \
  X(dsnFirst, 0, "the DSN comes in an earlier batch")                            \
  X(dsnNotAgain, 0, "a failed batch's DSN is not written again")                 \
  X(dsnNewId, 0, "it is written again under a new id (sound)")
#define OPTIONS(X) OPTIONS_0(X) OPTIONS_1(X) OPTIONS_2(X) OPTIONS_3(X) OPTIONS_4(X)
#define DECLARE(name, value, what) static int name = value;
OPTIONS(DECLARE)
#undef DECLARE
static int* option(const std::string& key) {
#define FIND(name, value, what) \
  if (key == #name) return &name;
  OPTIONS(FIND)
#undef FIND
  return nullptr;
}
static void listOptions() {
#define SHOW(name, value, what) printf("%-18s %-9d %s\n", #name, value, what);
  OPTIONS(SHOW)
#undef SHOW
}
// ---- state ---------------------------------------------------------------------------------
// frame state: 0 never written, 1 dirty in page cache, 2 on disk, 3 clean in cache after a failed sync (disk
// may lack it), 4 broken
struct B {
  u8 num, st, env, out, def, snap, sth, qs, rt, pu;
};  // snap: bit7 present, bit6 message, bits0-2 owed, bits3-5 attempts
struct Seg {
  u8 dir, hst, pred, last, ep, nb, fst, fl;
  B b[MB];
};  // fst, fl: footer's state and the last batch it tells of      // dir: bit0 visible, bit1 durable
struct Cur {
  u8 batch, len, file;
};
struct S {
  Seg seg[NSEG];
  u8 nseg;  // names handed out so far (names are never reused)
  u8 body;  // bit0 visible bit1 durable (body file of message 0)
  u8 rows[NROW], lenC, lenD, rotAt, csvDir;
  Cur curC, curD;
  // engine, volatile
  u8 eng;  // 0 down 1 recovery has synced 2 running
  u8 cur, dsync, sealed, nextn, epoch, synced, hold;
  u8 genv, gout, gdef, gsnap, gfe;
  u8 A, Ast, Bq;  // slot: 0 none, else 1+seg*4+idx ; Ast 1 written 2 data synced
  u8 rs[NR], home[NM], att, unlPend;
  // recorder, volatile
  u8 rec, stage, pos, wm, repCur, deadSync;
  // client side and ghosts
  u8 msg[NM];  // 0 not offered 1 in flight 2 "250" 3 "451" 4 connection lost 5 body being written
  u8 outS, defS, recd, rowMade;
  u8 crash, fail, cf, rot, defB, csvF;
  u8 cut;
  u8 puB, purS, gpu,
      inAtt;  // purge: left; ghost: published; engine: gathering, deleted while an attempt may be under way
  u8 rows2, stage2, pos2, rep2;
  Cur c2C, c2D;             // second accounting file; Cur.len holds the mask of its rows
  u8 rotB, lostM, rowLost;  // rot left; ghosts: messages whose record rotted, recipients whose outcome rotted
                            // before its row
  u8 qB, qnext, qPub, qDead;  // queue state: changes left, versions given; ghosts: last published version,
                              // versions a recovery dropped
  u8 gq, qmem, qsyn, qhome,
      orph;  // engine: state gathering, in memory, published, the segment that holds it; orphans to remove
  u8 chain, rp;  // recovery: the segments it planned with (mask), the next one to make durable
};
static_assert(sizeof(S) <= 400, "");
// rot: which records of a batch cannot be read any more; SEEN: a recovery has quarantined it
enum { RENV = 1, ROUT = 2, RDEF = 4, RSNAP = 8, RFRAME = 32, RALL = 63, SEEN = 64 };
static const int RM[NR] = {0, 0, 1, 2};
static const int MASK[NM] = {3, 4, 8};
static inline bool valid(u8 st) { return st == 1 || st == 2 || st == 3; }
// a cursor that lies in this segment vouches for its batches, too
static inline bool passed(const Seg& g, u8 num, Cur c, u8 read = 0) {
  if (!rotCurOnly && read > c.batch) c.batch = read;
  if (rotCurNoCover) return false;
  for (int j = 0; j < g.nb; j++)
    if (g.b[j].num == c.batch && num <= c.batch) return true;
  return false;
}
static inline bool framed(const B& b) { return valid(b.st) && !(b.rt & RFRAME); }
static const u8 NONE = 0xff;
struct Dec {
  bool has[NM];
  u8 owed, outc, att, lastNum, home[NM];
  bool rot, dup, unread, bodyNamed;
  u8 q, qhome, held, pur, envc;
  u8 lastSeg;
  u8 lim[NSEG];
  bool ex[NSEG];
  u8 cnt[NSEG];
  u8 maxEp, chain;
};
static void decide(const S& s, Dec& d) {
  memset(&d, 0, sizeof d);
  d.lastSeg = NONE;
  for (int i = 0; i < s.nseg; i++) {
    d.ex[i] = (s.seg[i].dir & 1) && valid(s.seg[i].hst);
    if (d.ex[i]) d.maxEp = std::max(d.maxEp, s.seg[i].ep);
  }
  if (fVoid) {  // a segment whose name lies between a counting segment and the one it names as predecessor
                // counts for nothing
    int t = s.nseg - 1;
    while (t >= 0 && !d.ex[t]) t--;
    // a header only speaks once it is visible; take the newest
    while (t >= 0) {
      int p = s.seg[t].pred;
      int lo = p == NONE ? -1 : p;
      for (int i = t - 1; i > lo; i--) d.ex[i] = false;
      if (p == NONE) break;
      if (!d.ex[p]) break;
      t = p;
    }
  }
  for (int i = 0; i < s.nseg; i++) {
    d.lim[i] = 255;
    if (ignLast) continue;
    for (int t = i + 1; t < s.nseg; t++)
      if (d.ex[t] && s.seg[t].pred == i) d.lim[i] = s.seg[t].last;
  }
  d.qhome = NONE;
  d.owed = d.outc = d.att = 0;
  d.chain = 0;
  for (int i = 0; i < s.nseg; i++)
    if (d.ex[i]) d.chain |= 1 << i;
  for (int i = 0; i < s.nseg; i++)
    if (d.ex[i]) {
      const Seg& g = s.seg[i];
      if (predAny) d.lastSeg = i;
      bool byFoot =
          foot && valid(g.fst) && (footNoHdr || (d.lim[i] != 255 && (g.fl == d.lim[i] || footAnyLast)));
      for (int k = 0; k < g.nb; k++) {
        const B& b = g.b[k];
        if (b.num > d.lim[i]) break;
        if (byFoot && b.num > g.fl) break;
        if (byFoot) {
          if (!valid(b.st) && (b.env || b.snap)) d.unread = true;
        } else if (!valid(b.st)) {
          if (d.lim[i] != 255) {
            d.rot = true;
            continue;
          }
          bool cov = false;
          for (int j = k + 1; j < g.nb; j++)
            if (framed(g.b[j]) && g.b[j].sth >= b.num) cov = true;
          if (rotm && passed(g, b.num, s.curC, s.rec ? s.pos : 0)) cov = true;
          if (cov) {
            d.rot = true;
            continue;
          }
          if (tailB) continue;
          break;
        }
        u8 lost = byFoot ? 0 : b.rt;
        if (b.rt && !byFoot) {
          bool cov = d.lim[i] != 255;
          for (int j = k + 1; j < g.nb; j++)
            if (framed(g.b[j]) && g.b[j].sth >= b.num) cov = true;
          if (passed(g, b.num, s.curC, s.rec ? s.pos : 0)) cov = true;
          if (!cov || rotStop) break;
        }
        d.cnt[i] = k + 1;
        d.lastNum = std::max(d.lastNum, b.num);
        d.lastSeg = i;
        if (!(lost & RENV))
          for (int m = 0; m < NM; m++)
            if (b.env >> m & 1) {
              d.has[m] = true;
              d.home[m] = i;
              d.owed |= MASK[m];
              d.envc |= 1 << m;
            }
        if ((b.snap & 0x80) && !(lost & RSNAP)) {
          int m = b.snap >> 6 & 1;
          if (pu) d.pur = (d.pur & ~MASK[m]) | (b.snap >> 3 & 7 & MASK[m]);
          if (rotm) {
            u8 hd = (b.rt & RSNAP) ? b.snap & 7 : rotSnapClears ? 0 : b.snap >> 3 & 7;
            d.held = (d.held & ~MASK[m]) | (hd & MASK[m]);
          }
          d.has[m] = true;
          d.home[m] = i;
          d.owed = (d.owed & ~MASK[m]) | (b.snap & 7 & MASK[m]);
          if (!pu) d.att = (d.att & ~MASK[m]) | ((b.snap >> 3) & MASK[m]);
        }
        if (b.qs) {
          d.q = b.qs;
          d.qhome = i;
        }
        if (b.env & 1) d.bodyNamed = true;
        if (b.snap >> 7 && !(b.snap >> 6 & 1) && !orphByEnv) d.bodyNamed = true;
        if (byFoot) {
          for (int m = 0; m < NM; m++)
            if ((b.rt & RENV) && (b.env >> m & 1)) d.held |= MASK[m] & d.owed;
        }
        if (byFoot && footNoOut) { continue; }
        if (lost && !rotSend)
          for (int r = 0; r < NR; r++)
            if (!(b.env >> RM[r] & 1))
              d.held |= d.owed & 1 << r;  // any of them may have ended in what cannot be read
        if (!(lost & ROUT)) {
          if (b.out & d.outc) d.dup = true;
          d.outc |= b.out;
          d.owed &= ~b.out;
        }
        d.pur = (d.pur | b.pu) & d.owed;
        if (!(lost & RDEF)) {
          d.att |= b.def;
          if (!lost) d.held &= ~b.def;
        }
        d.held &= d.owed;
      }
    }
}
// ---- search --------------------------------------------------------------------------------
struct Lab {
  const char* f;
  int a;
};
static std::vector<u64> TAB;
static u64 TMASK;
static std::vector<u32> PAR;
static std::vector<uint16_t> ORD;
static S ROOT;
static const char* VIOL = nullptr;
typedef std::function<void(const S&, Lab)> Emit;
static u64 hash(const S& s) {
  const u8* p = (const u8*)&s;
  u64 h = 1469598103934665603ull;
  size_t n = sizeof(S);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    u64 w;
    memcpy(&w, p + i, 8);
    h = (h ^ w) * 0x9E3779B97F4A7C15ull;
    h ^= h >> 29;
  }
  for (; i < n; i++) { h = (h ^ p[i]) * 1099511628211ull; }
  h ^= h >> 32;
  return h;
}
static void downEng(S& s) {
  s.eng = s.cur = s.dsync = s.sealed = s.nextn = s.epoch = s.synced = s.hold = s.genv = s.gout = s.gdef =
      s.gsnap = s.gfe = s.A = s.Ast = s.Bq = s.att = s.unlPend = s.chain = s.rp = s.gq = s.qmem = s.qsyn =
          s.qhome = s.orph = s.gpu = s.inAtt = 0;
  memset(s.rs, 0, NR);
  memset(s.home, 0, NM);
  for (int m = 0; m < NM; m++)
    if (s.msg[m] == 1 || s.msg[m] >= 5) s.msg[m] = 4;
  s.deadSync = 0;
}
static void downRec(S& s) {
  s.stage2 = s.pos2 = s.rep2 = 0;
  s.rec = s.stage = s.pos = s.wm = s.repCur = s.deadSync = 0;
}
static B& slot(S& s, u8 q) { return s.seg[(q - 1) / 4].b[(q - 1) % 4]; }
static int segOf(u8 q) { return (q - 1) / 4; }
static void powerAll(const S& s, const Emit& em) {
  // every unsynced thing independently survives or not
  std::vector<std::function<void(S&, bool)>> ch;
  for (int i = 0; i < s.nseg; i++) {
    const Seg& g = s.seg[i];
    bool gone = !(g.dir & 3);
    if (gone) continue;
    if (g.dir == 1 || g.dir == 2) ch.push_back([i](S& t, bool k) { t.seg[i].dir = k ? 3 : 0; });
    if (g.hst == 1 || g.hst == 3) ch.push_back([i](S& t, bool k) { t.seg[i].hst = k ? 2 : 4; });
    if (g.fst == 1 || g.fst == 3) ch.push_back([i](S& t, bool k) { t.seg[i].fst = k ? 2 : 4; });
    for (int k = 0; k < g.nb; k++)
      if (g.b[k].st == 1 || g.b[k].st == 3)
        ch.push_back([i, k](S& t, bool x) { t.seg[i].b[k].st = x ? 2 : 4; });
  }
  if (s.body == 1 || s.body == 2) ch.push_back([](S& t, bool k) { t.body = k ? 3 : 0; });
  if (memcmp(&s.curC, &s.curD, 3))
    ch.push_back([](S& t, bool k) {
      if (k) t.curD = t.curC;
      else t.curC = t.curD;
    });
  if (memcmp(&s.c2C, &s.c2D, 3))
    ch.push_back([](S& t, bool k) {
      if (k) t.c2D = t.c2C;
      else t.c2C = t.c2D;
    });
  if (s.csvDir == 1)
    ch.push_back([](S& t, bool k) {
      t.csvDir = k ? 3 : 0;
      if (!k && t.lenD > t.rotAt) t.lenD = t.rotAt;
    });
  u32 n = ch.size();
  for (u32 x = 0; x < (1u << n); x++) {
    S t = s;
    t.crash--;
    downEng(t);
    downRec(t);
    for (u32 j = 0; j < n; j++) ch[j](t, !(x >> j & 1));  // x=0: everything survives
    t.lenC = t.lenD;
    for (int i = t.lenC; i < NROW; i++) t.rows[i] = 0;
    for (int i = 0; i < t.nseg; i++)
      if (!t.seg[i].dir) {
        u8 keep = 0;
        memset(&t.seg[i], 0, sizeof(Seg));
        (void)keep;
      }
    em(t, {"POWER LOSS (choice mask of unsynced things lost: 0x%x)", (int)x});
  }
}
static void newSeg(S& s, bool atRecovery, const Dec* d) {
  if (s.nseg >= segs) {
    s.cut = 1;
    return;
  }
  int i = s.nseg++;
  Seg& g = s.seg[i];
  memset(&g, 0, sizeof g);
  g.dir = 1;
  g.hst = 1;
  g.ep = s.epoch;
  if (atRecovery) {
    g.pred = d->lastSeg;
    g.last = 0;
    if (d->lastSeg != NONE) {
      const Seg& p = s.seg[d->lastSeg];
      int c = d->cnt[d->lastSeg];
      g.last = c ? p.b[c - 1].num : 0;
    }
  } else {
    int p = s.cur;
    auto lastOf = [&](int q) {
      u8 l = 0;
      for (int k = 0; k < s.seg[q].nb; k++) {
        u8 n = s.seg[q].b[k].num;
        if (n <= s.synced || (rollOverlap && !s.sealed)) l = n;
      }
      return l;
    };
    if (fVoid) {
      while (lastOf(p) == 0 && s.seg[p].pred != NONE) {
        g.last = s.seg[p].last;
        int pp = s.seg[p].pred;
        // segment p holds no synced batch: skip it, keep what it said of its own predecessor
        p = pp;
        if (!(s.seg[p].dir & 1)) break;
        if (lastOf(p) == 0 && s.seg[p].pred != NONE) continue;
        g.pred = p;
        g.last = std::min<u8>(g.last, 255);
        s.cur = i;
        s.dsync = 0;
        s.sealed = 0;
        return;
      }
    }
    g.pred = p;
    g.last = lastOf(p);
    if (fVoid && !predAny && !g.last) g.pred = NONE;
  }
  s.cur = i;
  s.dsync = 0;
  s.sealed = 0;
}
#define V(msg) \
  do { VIOL = msg; } while (0)
static void publish(S& s) {  // batch in slot A is durable as far as the engine believes
  B& b = slot(s, s.A);
  s.synced = b.num;
  if (s.rec) s.wm = b.num;
  for (int m = 0; m < NM; m++)
    if (b.env >> m & 1) {
      if (s.msg[m] == 1) s.msg[m] = 2;
      s.home[m] = segOf(s.A);
      for (int r = 0; r < NR; r++)
        if (RM[r] == m) s.rs[r] = 1;
    }
  if (b.snap & 0x80) {
    int m = b.snap >> 6 & 1;
    s.home[m] = segOf(s.A);
  }
  for (int r = 0; r < NR; r++)
    if (b.out >> r & 1) s.rs[r] = 3;
  s.purS |= b.pu;
  for (int r = 0; r < NR; r++)
    if ((b.pu >> r & 1) && s.rs[r] == 4) s.rs[r] = 5;
  if (dsnLater && (b.out & 1) && !(s.genv & 2)) {
    s.genv |= 2;
    s.msg[1] = 1;
  }
  if (dsnFirst && (b.env & 2)) s.gout |= 1;
  if (b.qs) {
    s.qsyn = b.qs;
    s.qhome = segOf(s.A);
    s.qPub = b.qs;
  }
  s.hold = 0;
  s.outS |= b.out;
  s.defS |= b.def;
  for (int m = 0; m < NM; m++)
    if (s.msg[m] == 6) {
      s.msg[m] = 3;
      if (unl451late && m == 0 && big) s.body &= ~1;
    }
  s.A = s.Bq;
  s.Bq = 0;
  s.Ast = s.A ? 1 : 0;
}
static int msgDone(const S& s, int m, bool pend) {
  for (int r = 0; r < NR; r++)
    if (RM[r] == m && (s.rs[r] == 1 || s.rs[r] == 6 || s.rs[r] == 4 || (s.rs[r] == 5 && !puFinal) ||
                       (s.rs[r] == 2 && !pend)))
      return 0;
  return 1;
}
// returns number of emitted non-crash moves
static int succ(const S& s, const Emit& emit) {
  int n = 0;
  auto em = [&](const S& t, const char* f, int a = 0) {
    n++;
    emit(t, {f, a});
  };
  // ---- engine -------------------------------------------------------------
  if (s.eng == 0 && s.rec) {
    if (recNoSync) {
      S t = s;
      t.eng = 1;
      em(t, "engine starts: recovery reads without a sync");
    } else {
      S t = s;
      t.eng = 3;
      t.rp = 0;
      Dec d;
      decide(s, d);
      t.chain = d.chain;
      if (orphFirst && big && (t.body & 1) && !(d.has[0] && (d.owed & MASK[0]))) t.body &= ~1;
      em(t, "engine starts: recovery reads the headers");
    }
  }
  if (s.eng == 3) {  // make durable what will be read, a segment at a time
    int i = s.rp;
    while (i < s.nseg && !(s.seg[i].dir & 1)) i++;
    if (i < s.nseg) {
      S t = s;
      Seg& g = t.seg[i];
      t.rp = i + 1;
      bool skipSync = false;
      bool onChain = s.chain >> i & 1,
           counted =
               onChain && (s.chain >> (i + 1));  // a younger segment of the chain counts it up to some batch
      if (planCheck == 2 && onChain && g.hst == 4)
        g.hst = 1;  // written again from the bytes read at the start
      if (fRewrite) {
        if (rew == 0 || (!counted && (rew == 1 || onChain))) {
          u8 cov = 0;
          for (int k = 0; k < g.nb; k++)
            if (framed(g.b[k]) && g.b[k].sth < g.b[k].num)
              cov = std::max(cov, g.b[k].sth);  // what a later batch of this segment calls synced
          if (g.hst == 3) g.hst = 1;
          if (valid(g.hst))
            for (int k = 0; k < g.nb; k++)
              if (g.b[k].st == 3 && g.b[k].num > cov) g.b[k].st = 1;
        } else if (rew == 1) {
          if (g.hst == 3) g.hst = 1;
        } else skipSync = true;
      }
      bool dirty = g.hst == 1 || g.fst == 1;
      for (int k = 0; k < g.nb; k++)
        if (g.b[k].st == 1) dirty = true;
      auto all = [&](Seg& q, u8 to) {
        if (q.hst == 1) q.hst = to;
        if (q.fst == 1) q.fst = to;
        for (int k = 0; k < q.nb; k++)
          if (q.b[k].st == 1) q.b[k].st = to;
      };
      if (s.fail && dirty && !skipSync) {
        S u = t;
        u.fail--;
        all(u.seg[i], 3);
        u.eng = recSyncFailGoesOn ? 3 : 0;
        if (!u.eng) u.chain = u.rp = 0;
        em(u, "recovery's sync of S%d FAILS; it begins again", i);
      }
      if (!skipSync) all(g, 2);
      em(t,
         skipSync ? "recovery leaves S%d as it is: a successor counts it, or it is off the chain"
                  : "recovery makes S%d durable (writes again, syncs)",
         i);
    } else {
      S t = s;
      t.eng = 1;
      t.rp = 0;
      if (fRecDir) {
        for (int i = 0; i < t.nseg; i++) t.seg[i].dir = (t.seg[i].dir & 1) * 3;
        t.body = (t.body & 1) * 3;
      }
      em(t, "recovery syncs the directory");
    }
  }
  if (s.eng == 1) {  // read, decide, new segment, orphans
    S t = s;
    Dec d;
    decide(s, d);
    t.chain = 0;
    if (planCheck == 1 && !recNoSync && d.chain != s.chain) {
      t.eng = 0;
      em(t, "recovery finds other headers than it planned with; it begins again");
    } else {
      // rot in a published batch that nothing covers looks like a torn end: what it and those behind it held
      // is lost unseen
      u8 xM = s.lostM, xO = 0;
      if (rotm)
        for (int i = 0; i < s.nseg; i++)
          if (d.ex[i] && d.cnt[i] < s.seg[i].nb && s.seg[i].b[d.cnt[i]].rt &&
              s.seg[i].b[d.cnt[i]].num <= d.lim[i] && !rotStop && !rotCurNoCover)
            for (int j = d.cnt[i]; j < s.seg[i].nb; j++) {
              xM |= s.seg[i].b[j].env;
              xO |= s.seg[i].b[j].out;
            }
      t.lostM = xM;
      t.outS &= ~xO;
      t.rowLost |= xO;
      if (rotFooted && !s.rotB && d.held && !xM) V("held although the footer knows better");
      if (d.unread) V("a batch that the footer vouches for is broken: owed, but not readable");
      if (d.rot) {
        V("I5/rot: recovery finds a batch that is said to be synced, broken (false rot, or lost data)");
      }
      if (d.dup) { V("I1: two terminal outcome records of one recipient both count"); }
      for (int m = 0; m < NM; m++) {
        bool req = s.msg[m] == 2 || (s.recd >> m & 1);
        if (check451 && s.msg[m] == 3 && d.has[m] && (d.owed & MASK[m]))
          V("I4+: a message answered 451 is revived");
        for (int r = 0; r < NR; r++)
          if (RM[r] == m) {
            bool owed = d.owed >> r & 1;
            bool row = false;
            for (int i = 0; i < s.curC.len && i < s.lenC; i++)
              if (s.rows[i] == r + 1) row = true;
            if (req && !owed && !(d.outc >> r & 1) && !(xM >> m & 1) &&
                !(rotm && ((s.outS | t.rowLost) >> r & 1)) && !(row && (s.outS >> r & 1)))
              V("I1: recipient of an acknowledged (or earlier recovered) message is in no record and has no "
                "outcome");
            if (owed && !(d.held >> r & 1) && ((s.outS & ~xO) >> r & 1))
              V("I3/I4: finished recipient is revived (its synced outcome no longer counts): will be sent "
                "again");
            if (owed && (s.purS >> r & 1) && !(d.pur >> r & 1))
              V("a synced deletion is forgotten: will be sent");
            if (owed && !rotm && (s.defS >> r & 1) && !(d.att >> r & 1))
              V("restart forgets a synced deferral");
          }
        if (m == 0 && big && d.has[0] && (d.owed & MASK[0]) && !(s.body & 1))
          V("I6: owed message without its body file");
      }
      if (dsn) {
        bool made = (d.envc >> 1 & 1) || (d.envc >> 2 & 1) || d.has[1] || d.has[2];
        if ((d.outc & 1) && !made) V("an outcome counts without its DSN");
        if (((d.envc >> 1 & 1) || (d.envc >> 2 & 1)) && !(d.outc & 1))
          V("a DSN counts without the outcome that causes it: it will be made twice");
        if ((d.envc & 6) == 6) V("two DSNs of one outcome count");
      }
      t.purS |= d.pur;
      if (d.q != s.qPub && !(s.qPub == 2 && qdef && d.q == 0) && d.q < s.qPub)
        V("a synced queue state is forgotten, or an older one is back");
      if (s.qDead >> d.q & 1) V("a queue state that an earlier recovery dropped is back");
      for (int v = d.q + 1; v <= s.qnext; v++)
        if (!(qdef && d.q == 0 && v <= s.qPub)) t.qDead |= 1 << v;
      t.qPub = std::max(t.qPub, d.q);
      t.qmem = t.qsyn = d.q;
      t.qhome = d.qhome;
      t.hold = real ? 1 : 0;
      t.outS |= d.outc;
      for (int m = 0; m < NM; m++)
        if (d.has[m] && strict) t.recd |= 1 << m;
      t.defS |= d.att & d.owed;
      u8 ep = d.maxEp;
      if (!epochSeg) {
        ep = std::max<u8>(ep, s.curC.batch >> 4);
        ep = std::max<u8>(ep, s.c2C.batch >> 4);
      }
      t.epoch = ep + 1;
      t.nextn = 1;
      t.synced = d.lastNum;
      t.eng = 2;
      for (int r = 0; r < NR; r++) {
        int m = RM[r];
        t.rs[r] = !d.has[m]           ? 0
                  : (d.held >> r & 1) ? 6
                  : (d.pur >> r & 1)  ? (puNoRow ? 3 : 5)
                  : (d.owed >> r & 1) ? 1
                                      : 3;
      }
      if ((real || altFirstDur) && !rotm && d.lastNum < s.curC.batch)
        V("a cursor is past the last batch that counts");
      for (int i = 0; i < t.nseg; i++)
        for (int k = 0; k < d.cnt[i]; k++)
          if (t.seg[i].b[k].rt) t.seg[i].b[k].rt |= SEEN;
      for (int m = 0; m < NM; m++) t.home[m] = d.has[m] ? d.home[m] : NONE;
      t.att = d.att & d.owed;
      bool orphan = big && (t.body & 1) && !(d.has[0] && (d.owed & MASK[0]) && (!orphByEnv || d.bodyNamed));
      if (orphan) {
        if (real) t.orph = 1;
        else t.body &= ~1;
      }
      newSeg(t, true, &d);
      if (altFirstDur && !t.cut) {
        for (int i = 0; i < t.nseg; i++) t.seg[i].dir = (t.seg[i].dir & 1) * 3;
        t.seg[t.cur].hst = 2;
        t.dsync = 1;
      }
      if (t.rec) t.wm = std::max(t.wm, d.lastNum);
      em(t, real ? "recovery reads, decides, opens a new segment"
                 : "recovery reads, decides, opens a new segment, removes orphans");
    }
  }
  if (s.eng == 2) {
    if (s.orph && !s.hold) {
      S t = s;
      t.orph = 0;
      t.body &= ~1;
      em(t, "recovery removes the orphaned body file");
    }
    // queue state: changed by the operator or by the replies; put again when its segment is the oldest
    if (s.rec && s.qB && !s.hold) {
      S t = s;
      t.qB--;
      t.qmem = ++t.qnext;
      t.gq = t.qmem;
      em(t, "queue state changes to version %d, joins the batch", t.qmem);
    }
    if (s.rec && !s.hold && s.qsyn && s.qhome != NONE && s.qhome != s.cur && !s.gq &&
        !(qdef && s.qmem == 2) && !qNoCopy && !qFirst) {
      bool oldest = true;
      for (int i = 0; i < s.qhome; i++)
        if (s.seg[i].dir & 1) oldest = false;
      bool infl = (s.A && slot(const_cast<S&>(s), s.A).qs) || (s.Bq && slot(const_cast<S&>(s), s.Bq).qs);
      if (oldest && (!infl || qCopySynced)) {
        S t = s;
        t.gq = qCopySynced ? s.qsyn : s.qmem;
        em(t, "copy-forward: queue state version %d joins the batch", t.gq);
      }
    }
    // offered messages
    if (s.rec && !s.hold)
      for (int m = 0; m < msgs; m++) {
        if (s.msg[m] != 0) continue;
        if (m && s.msg[m - 1] == 0) break;
        if (m == 0 && big) {
          S t = s;
          t.msg[0] = 5;
          t.body = 1;
          em(t, "message %d: body file created and written", m);
        } else {
          S t = s;
          t.msg[m] = 1;
          t.genv |= 1 << m;
          if (replyEarly) t.msg[m] = 2;
          em(t,
             replyEarly ? "message %d received and answered 250 before the sync"
                        : "message %d received, joins the gathering batch",
             m);
        }
        break;
      }
    if (s.msg[0] == 5) {
      S t = s;
      t.msg[0] = 1;
      if (!bodyNoDir) t.body = 3;
      t.genv |= 1;
      em(t, "message %d: body file and its directory synced, envelope joins the batch", 0);
    }
    // delivery: remote's final reply puts the outcome in the gathering batch (reply lost on crash = outcome
    // lost with memory)
    if (s.rec && !s.hold && s.puB) {
      u8 w = 0;
      for (int r = 0; r < NR; r++)
        if (s.rs[r] == 1) w |= 1 << r;
      if (w) {
        S t = s;
        t.puB--;
        t.gpu |= w;
        t.inAtt |= w;
        for (int r = 0; r < NR; r++)
          if (w >> r & 1) t.rs[r] = 4;
        if (puEarly) t.purS |= w;
        em(t, "operator deletes recipients (mask %d): purge joins the batch", w);
      }
      for (int r = 0; r < NR; r++)
        if ((w >> r & 1) && w != (1 << r)) {
          S t = s;
          t.puB--;
          t.gpu |= 1 << r;
          t.inAtt |= 1 << r;
          t.rs[r] = 4;
          if (puEarly) t.purS |= 1 << r;
          em(t, "operator deletes recipient %d: purge joins the batch", r);
        }
    }
    if (s.rec && !s.hold)
      for (int r = 0; r < NR; r++) {
        if (s.rs[r] == 5) {
          S t = s;
          t.rs[r] = 2;
          t.gout |= 1 << r;
          em(t, "background: the deleted recipient %d gets its outcome", r);
        }
        if (puAtt && (s.rs[r] == 4 || s.rs[r] == 5) && (s.inAtt >> r & 1)) {
          S t = s;
          t.rs[r] = 2;
          t.gout |= 1 << r;
          em(t, "the attempt that was under way ends: outcome of recipient %d joins the batch", r);
        }
      }
    if (s.rec && !s.hold)
      for (int r = 0; r < NR; r++)
        if (s.rs[r] == 1) {
          if (sym && r == 1 && s.rs[0] == 1) continue;  // r0 and r1 are interchangeable
          {
            S t = s;
            if (s.purS >> r & 1) V("a deleted recipient is sent");
            if (s.outS >> r & 1) V("I3: recipient sent again although its outcome was synced");
            if (big && RM[r] == 0 && !(s.body & 1))
              V("I6: owed message without its body file, found when it is to be sent");
            t.rs[r] = 2;
            if (!(dsnFirst && r == 0)) t.gout |= 1 << r;
            if (dsn && r == 0 && !dsnLater) {
              t.genv |= 2;
              t.msg[1] = 1;
            }
            em(t,
               dsn && r == 0 ? "recipient %d failed, outcome and DSN join the batch"
                             : "recipient %d delivered, remote says 250, outcome joins the batch",
               r);
          }
          if (s.defB && r == 0 && !(s.att & 1)) {
            S t = s;
            t.defB--;
            t.att |= 1;
            t.gdef |= 1;
            em(t, "recipient %d deferred, deferral joins the batch", r);
          }
        }
    // copy-forward
    if (s.cf && s.rec && !s.hold && !s.gsnap)
      for (int m = 0; m < msgs; m++)
        if (s.home[m] != NONE && s.home[m] != s.cur && (s.seg[s.home[m]].dir & 1) &&
            (s.msg[m] == 2 || s.recd >> m & 1) && !msgDone(s, m, true)) {
          bool oldest = true;
          if (!cfAny)
            for (int i = 0; i < s.home[m]; i++)
              if (s.seg[i].dir & 1) oldest = false;
          if (!oldest) continue;
          u8 ow = 0, hd = 0;
          for (int r = 0; r < NR; r++)
            if (RM[r] == m && (s.rs[r] == 1 || s.rs[r] == 6 || (snapSynced && s.rs[r] == 2))) {
              ow |= 1 << r;
              if (s.rs[r] == 6) hd |= 1 << r;
            }
          if (pu)
            for (int r = 0; r < NR; r++)
              if (RM[r] == m && (s.rs[r] == 4 || s.rs[r] == 5)) {
                ow |= 1 << r;
                if (!puSnap) hd |= 1 << r;
              }
          S t = s;
          t.cf--;
          t.gsnap = 0x80 | m << 6 | ow | ((rotm || pu) ? hd << 3 : snapNoAtt ? 0 : (s.att & ow) << 3);
          if (cfEarly) t.home[m] = s.cur;
          em(t, "copy-forward: snapshot of message %d joins the batch", m);
        }
    // flush
    bool gath = s.genv || s.gout || s.gdef || s.gsnap || s.gq || s.gpu || s.hold == 1 || (real && s.sealed);
    for (int m = 0; m < NM; m++)
      if (s.msg[m] == 6 && s.sealed) gath = true;
    if (gath && !s.Bq) {
      bool full = s.seg[s.cur].nb >= bps || s.sealed;
      bool waitFoot = full && foot == 2 && !s.sealed && s.seg[s.cur].fst < 2;
      if (!waitFoot && (!full || !s.A || (rollOverlap && !s.sealed))) {
        S t = s;
        if (full) newSeg(t, false, nullptr);
        if (!t.cut) {
          Seg& g = t.seg[t.cur];
          B& b = g.b[g.nb];
          b.num = t.epoch << 4 | t.nextn++;
          b.st = 1;
          b.env = t.genv;
          b.out = t.gout;
          b.def = t.gdef;
          b.snap = t.gsnap;
          b.pu = t.gpu;
          t.gpu = 0;
          b.qs = t.gq;
          if (qFirst && g.nb == 0 && !(qdef && t.qmem == 2 && t.qsyn == 2)) b.qs = t.qmem;
          b.sth = t.synced;
          if (t.hold) t.hold = 2;
          u8 q = 1 + t.cur * 4 + g.nb;
          g.nb++;
          t.genv = t.gout = t.gdef = t.gsnap = t.gq = 0;
          if (t.A) t.Bq = q;
          else {
            t.A = q;
            t.Ast = 1;
          }
        }
        em(t,
           full ? "new segment S%d opened (header + batch written)"
                : (s.A ? "next batch written to S%d while the sync runs" : "batch written to S%d"),
           t.cur);
      }
    }
    // footer: behind the last batch of a segment that nothing failed in (foot=2: synced before the successor
    // opens)
    if (foot)
      for (int i = 0; i < s.nseg; i++) {
        const Seg& g = s.seg[i];
        if (!(g.dir & 1) || g.ep != s.epoch || (g.fst != 0 && g.fst != 1)) continue;
        bool infl = (s.A && segOf(s.A) == i) || (s.Bq && segOf(s.Bq) == i);
        bool isPred = i != s.cur && s.seg[s.cur].pred == i && s.seg[s.cur].last == g.b[g.nb - 1].num;
        bool full = (g.nb >= bps || (footStale && g.nb)) && ((i == s.cur && !s.sealed) || isPred);
        if (!full || (infl && !footEarly)) continue;
        if (g.fst == 0) {
          S t = s;
          t.seg[i].fst = 1;
          t.seg[i].fl = g.b[g.nb - 1].num;
          em(t, "footer of S%d written", i);
        } else if (foot == 2 && i == s.cur) {
          S t = s;
          t.seg[i].fst = 2;
          em(t, "footer of S%d synced", i);
        }
      }
    // sync completes
    if (s.A && s.Ast == 1) {
      int sg = segOf(s.A), ix = (s.A - 1) % 4;
      {
        S t = s;
        Seg& g = t.seg[sg];
        if (g.hst == 1) g.hst = 2;
        for (int k = 0; k <= ix; k++)
          if (g.b[k].st == 1) g.b[k].st = 2;
        bool ds = (sg == (int)t.cur) ? t.dsync : true;
        bool need = !ds && !noDirSync && (g.b[ix].env || g.b[ix].snap || fDirAny);
        if (need) {
          t.Ast = 2;
          em(t, "fdatasync of S%d succeeds (directory not yet synced)", sg);
        } else {
          publish(t);
          em(t, "fdatasync of S%d succeeds: batch published (250s sent, outcomes final, watermark moves)",
             sg);
        }
      }
      if (s.fail) {
        S t = s;
        t.fail--;
        Seg& g = t.seg[sg];
        if (trustLater) {
          g.b[ix].st = 3;  // sync error swallowed: try again on the same file; pages are already clean
          if (g.hst == 1) g.hst = 3;
          em(t, "fdatasync of S%d FAILS; engine will simply sync again", sg);
        } else {
          if (g.hst == 1) g.hst = 3;
          for (int k = 0; k <= ix; k++)
            if (g.b[k].st == 1) g.b[k].st = 3;
          for (int q = 0; q < 2; q++) {
            u8 sl = q ? s.Bq : s.A;
            if (!sl) continue;
            B& b = slot(t, sl);
            if (b.st == 1 && segOf(sl) == sg) b.st = 3;
            if (segOf(sl) != sg)
              continue;  // reading rollOverlap: the batch already in the next segment is not "in the segment
                         // after it"
            for (int m = 0; m < NM; m++)
              if (dsn && m > 0) {
                if (b.env >> m & 1) {
                  t.msg[m] = 0;
                  if (!dsnNotAgain) {
                    int to = dsnNewId ? 3 - m : m;
                    t.genv |= 1 << to;
                    t.msg[to] = 1;
                  }
                }
              } else if ((b.env >> m & 1) && t.msg[m] == 1) {
                t.msg[m] = alt451late ? 6 : 3;
                if (cur451unlink && m == 0 && big) t.body &= ~1;
              }
            if (t.hold) t.hold = 1;
            if (!puDrop) t.gpu |= b.pu;
            if (b.qs && !qDrop && !qFirst) t.gq = qOver ? b.qs : std::max(t.gq, b.qs);
            t.gout |= b.out;
            t.gdef |= b.def;
          }
          if (s.Bq && segOf(s.Bq) != sg) {
            t.A = s.Bq;
            t.Bq = 0;
            t.Ast = 1;
          } else {
            t.A = t.Bq = t.Ast = 0;
            t.sealed = 1;
          }
          em(t, "fdatasync of S%d FAILS: 451 to those waiting, outcomes gathered again, segment sealed", sg);
        }
      }
    }
    if (s.A && s.Ast == 2) {
      S t = s;
      for (int i = 0; i < t.nseg; i++) t.seg[i].dir = (t.seg[i].dir & 1) * 3;
      t.dsync = 1;
      publish(t);
      em(t, "directory synced: batch published (250s sent, outcomes final, watermark moves)");
    }
    if (s.A && s.Ast == 2 && s.fail) {
      S t = s;
      t.fail--;
      int sg = segOf(s.A);
      for (int q = 0; q < 2; q++) {
        u8 sl = q ? s.Bq : s.A;
        if (!sl) continue;
        B& b = slot(t, sl);
        for (int m = 0; m < NM; m++) {
          if (dsn && m > 0) {
            if (b.env >> m & 1) {
              t.msg[m] = 0;
              if (!dsnNotAgain) {
                int to = dsnNewId ? 3 - m : m;
                t.genv |= 1 << to;
                t.msg[to] = 1;
              }
            }
          } else if ((b.env >> m & 1) && t.msg[m] == 1) t.msg[m] = alt451late ? 6 : 3;
        }
        if (t.hold) t.hold = 1;
        if (!puDrop) t.gpu |= b.pu;
        if (b.qs && !qDrop && !qFirst) t.gq = qOver ? b.qs : std::max(t.gq, b.qs);
        t.gout |= b.out;
        t.gdef |= b.def;
      }
      t.A = t.Bq = t.Ast = 0;
      t.sealed = 1;
      em(t, "directory sync FAILS after the data sync of S%d: 451, outcomes gathered again, segment sealed",
         sg);
    }
    // body unlink after last outcome
    if (big && (s.body & 1) && (s.msg[0] == 2 || (s.recd & 1)) && s.home[0] != NONE &&
        msgDone(s, 0, bodyEarly)) {
      S t = s;
      t.body &= ~1;
      em(t, "body file of message 0 unlinked");
    }
    // reclaim
    {
      bool dirClean = true;
      for (int i = 0; i < s.nseg; i++)
        if (!(s.seg[i].dir & 1) && (s.seg[i].dir & 2)) dirClean = false;
      if (!dirClean && fUnlDir) {
        S t = s;
        for (int i = 0; i < t.nseg; i++) {
          t.seg[i].dir = (t.seg[i].dir & 1) * 3;
          if (!t.seg[i].dir) memset(&t.seg[i], 0, sizeof(Seg));
        }
        if (t.seg[t.cur].dir == 3) t.dsync = 1;
        em(t, "directory synced after the unlink");
      }
      for (int i = 0; i < s.nseg; i++)
        if ((s.seg[i].dir & 1) && i != s.cur) {
          const Seg& g = s.seg[i];
          bool inflight = (s.A && segOf(s.A) == i) || (s.Bq && segOf(s.Bq) == i);
          bool ok = !inflight && (!fUnlDir || dirClean);
          if (real && !(s.seg[s.cur].nb && s.seg[s.cur].b[0].num <= s.synced)) ok = false;
          if (s.qhome == i && s.qsyn && !qNoCopy && !(qdef && s.qsyn == 2) &&
              !(qUnsynced && (s.gq || (s.A && slot(const_cast<S&>(s), s.A).qs) ||
                              (s.Bq && slot(const_cast<S&>(s), s.Bq).qs))))
            ok = false;
          if (altFirstDur && !(s.seg[s.cur].hst == 2 && s.dsync)) ok = false;
          for (int m = 0; m < NM; m++)
            if (s.home[m] == i && !msgDone(s, m, owedUnsynced)) ok = false;
          u8 lastc = 0;
          for (int k = 0; k < g.nb; k++) {
            u8 x = g.b[k].num;
            if (x <= s.synced && valid(g.b[k].st)) lastc = std::max(lastc, x);
          }
          // batches that do not count need no cursor
          Dec d;
          decide(s, d);
          lastc = 0;
          for (int k = 0; k < g.nb && k < d.cnt[i]; k++) lastc = std::max(lastc, g.b[k].num);
          u8 rep = !recs2 || firstCur ? s.repCur
                   : maxCur           ? std::max(s.repCur, s.rep2)
                                      : std::min(s.repCur, s.rep2);
          if (!cfNoCursor && rep < lastc) ok = false;
          if (!s.rec) ok = false;
          if (reclaimCond)
            for (int k = 0; k < g.nb; k++)
              for (int r = 0; r < NR; r++)
                if (g.b[k].out >> r & 1)
                  for (int o = 0; o < i; o++)
                    if (s.seg[o].dir & 1)
                      for (int z = 0; z < s.seg[o].nb; z++) {
                        const B& e = s.seg[o].b[z];
                        if (e.env >> RM[r] & 1) ok = false;
                        if ((e.snap & 0x80) && (e.snap >> 6 & 1) == RM[r]) ok = false;
                      }
          if (ok) {
            S t = s;
            Seg& h = t.seg[i];
            h.dir &= ~1;
            if (bodyWithSeg)
              for (int k = 0; k < h.nb; k++)
                if (h.b[k].env & 1) t.body &= ~1;
            if (!h.dir) memset(&h, 0, sizeof h);
            em(t, "segment S%d unlinked", i);
          }
          if (!reclaimAny && !reclaimCond) break;
        }
    }
  }
  // engine leaves when the supervisor is gone
  if (!s.rec && s.eng) {
    S t = s;
    downEng(t);
    em(t, "engine exits (supervisor is gone)");
  }
  // ---- supervisor / recorder ----------------------------------------------
  if (!s.rec && !s.eng) {
    S t = s;
    t.rec = 1;
    if (s.curC.len > s.lenC) V("I2: CSV is shorter than the cursor says: rows lost");
    if (s.curC.file == 1 && !(s.csvDir & 1)) V("I2: the CSV file the cursor names has vanished");
    t.lenC = s.curC.len;
    if (t.lenD > t.lenC) t.lenD = t.lenC;
    for (int i = t.lenC; i < NROW; i++) t.rows[i] = 0;
    t.csvF = 0;
    if (t.curC.file == 0 && t.csvDir) { t.csvDir = 0; }
    if (t.curC.file == 0) t.rotAt = 0;
    if (fCurDir) t.curD = t.curC;
    t.pos = t.curC.batch;
    t.repCur = t.curC.batch;
    t.stage = 0;
    t.rows2 = t.c2C.len;
    t.c2D = t.c2C;
    t.pos2 = t.rep2 = t.c2C.batch;
    t.stage2 = 0;
    em(t, "supervisor starts: CSV cut back to the cursor");
  }
  if (s.rec) {
    if (s.eng == 0 && !s.deadSync && !fRecWait) {
      S t = s;
      t.deadSync = 1;
      for (int i = 0; i < t.nseg; i++)
        if (t.seg[i].dir & 1) {
          Seg& g = t.seg[i];
          if (g.hst == 1) g.hst = 2;
          for (int k = 0; k < g.nb; k++)
            if (g.b[k].st == 1) g.b[k].st = 2;
        }
      if (fRecDir)
        for (int i = 0; i < t.nseg; i++) t.seg[i].dir = (t.seg[i].dir & 1) * 3;
      Dec d;
      decide(t, d);
      t.wm = std::max(t.wm, d.lastNum);
      em(t, "engine is dead: recorder syncs the segments and reads to their end");
    }
    if (s.stage == 0) {
      Dec d;
      decide(s, d);
      S t = s;
      bool any = false;
      u8 pos = s.pos;
      u8 lim = s.wm;
      if (pastWm) lim = 255;
      bool stuck = false;
      for (int i = 0; i < s.nseg; i++)
        if (d.ex[i])
          for (int k = 0; k < s.seg[i].nb && k < d.cnt[i] && !stuck; k++) {
            const B& b = s.seg[i].b[k];
            if (b.num <= s.pos || b.num > lim) continue;
            if (!valid(b.st)) {
              V("the recorder meets a counted batch that is broken");
              continue;
            }
            if ((b.rt & RALL) && !(b.rt & SEEN) && !rotRecSkips) {
              stuck = true;
              break;
            }
            u8 rowed = b.rt & ROUT ? 0 : b.out;
            any = true;
            pos = std::max(pos, b.num);
            for (int r = 0; r < NR; r++)
              if (rowed >> r & 1) {
                for (int q = 0; q < t.lenC; q++)
                  if (t.rows[q] == r + 1) V("I2: second row for one recipient");
                if (t.lenC < NROW) t.rows[t.lenC++] = r + 1;
                t.outS |= 1 << r;
              }
          }
      if (stuck && !any && s.eng == 2) {
        S u = s;
        downEng(u);
        em(u, "recorder meets a damaged batch: the engine is restarted and salvages");
      }
      if (any) {
        t.pos = pos;
        t.stage = (t.lenC == s.lenC) ? 2 : 1;
        if (t.stage == 1 && !curFirst && !s.csvF) {
          t.lenD = t.lenC;
          t.stage = 2;
          em(t, "recorder appends rows up to the watermark, CSV synced");
        } else
          em(t, curFirst ? "recorder appends rows up to the watermark (will move the cursor first)"
                         : "recorder appends rows up to the watermark");
      }
      if (!any && s.rot && s.lenC) {
        S u = s;
        u.rot--;
        u.rotAt = u.lenC;
        u.csvDir = 1;
        u.stage = rotNoDir ? 5 : 4;
        em(u, "rotation: new CSV file created");
      }
    }
    if (s.stage == 1 && !curFirst) {
      if (s.csvF && !csvRetry) {}
      {
        S t = s;
        if (!(s.csvF == 2)) t.lenD = t.lenC;
        t.stage = 2;
        em(t, "CSV synced");
      }
      if (s.csvF == 1) {
        S t = s;
        if (csvRetry) {
          t.csvF = 2;
        } else {
          t.csvF = 0;
          t.lenC = t.curC.len;
          for (int i = t.lenC; i < NROW; i++) t.rows[i] = 0;
          t.pos = t.curC.batch;
          t.stage = 0;
        }
        em(t, csvRetry ? "CSV sync FAILS, recorder will sync again"
                       : "CSV sync FAILS, recorder cuts back to the cursor and writes again");
      }
    }
    if (s.stage == 1 && curFirst) {
      S t = s;
      t.curC.batch = t.pos;
      t.curC.len = t.lenC;
      t.stage = 7;
      em(t, "cursor replaced before the CSV sync");
    }
    if (s.stage == 7) {
      S t = s;
      t.lenD = t.lenC;
      t.curD = t.curC;
      t.stage = 0;
      t.repCur = t.curC.batch;
      em(t, "CSV synced, cursor directory synced");
    }
    if (s.stage == 2) {
      S t = s;
      t.curC.batch = t.pos;
      t.curC.len = t.lenC;
      t.stage = 3;
      if (curNotDur) t.repCur = t.curC.batch;
      em(t, "cursor: temporary file synced and renamed");
    }
    if (s.stage == 3) {
      S t = s;
      t.curD = t.curC;
      t.stage = 0;
      t.repCur = t.curC.batch;
      if (t.csvF == 2) t.csvF = 0;
      em(t, "cursor directory synced; cursor reported to the engine");
    }
    if (s.stage == 4) {
      S t = s;
      t.csvDir = 3;
      t.stage = 5;
      em(t, "rotation: directory of the new CSV synced");
    }
    if (s.stage == 5) {
      S t = s;
      t.curC.file = 1;
      t.stage = 6;
      em(t, "rotation: cursor names the new file (renamed)");
    }
    if (s.stage == 6) {
      S t = s;
      t.curD = t.curC;
      t.stage = 0;
      em(t, "rotation: cursor directory synced");
    }
  }
  if (s.rec && recs2) {  // the second accounting file, rows and their sync as one step
    if (s.stage2 == 0) {
      Dec d;
      decide(s, d);
      S t = s;
      bool any = false;
      for (int i = 0; i < s.nseg; i++)
        if (d.ex[i])
          for (int k = 0; k < s.seg[i].nb && k < d.cnt[i]; k++) {
            const B& b = s.seg[i].b[k];
            if (b.num <= s.pos2 || b.num > s.wm || !valid(b.st)) continue;
            any = true;
            t.pos2 = std::max(t.pos2, b.num);
            if (t.rows2 & b.out) V("I2: second row for one recipient in the second accounting file");
            t.rows2 |= b.out;
          }
      if (any) {
        t.stage2 = 2;
        em(t, "second accounting file: rows appended and synced");
      }
    }
    if (s.stage2 == 2) {
      S t = s;
      t.c2C.batch = t.pos2;
      t.c2C.len = t.rows2;
      t.stage2 = 3;
      em(t, "second cursor renamed");
    }
    if (s.stage2 == 3) {
      S t = s;
      t.c2D = t.c2C;
      t.stage2 = 0;
      t.rep2 = t.c2C.batch;
      em(t, "second cursor's directory synced; reported");
    }
  }
  int moves = n;

  if (s.rotB)
    for (int i = 0; i < s.nseg; i++)
      if (s.seg[i].dir & 1) {
        const Seg& g = s.seg[i];
        Dec d;
        decide(s, d);
        for (int k = 0; k < g.nb; k++) {
          const B& b = g.b[k];
          if (b.st != 2 || b.rt || b.num > s.synced || s.eng != 2 || k >= d.cnt[i]) continue;
          bool cov = false;
          for (int t = i + 1; t < s.nseg; t++)
            if (d.ex[t] && s.seg[t].pred == i && s.seg[t].hst == 2 && (s.seg[t].dir & 2))
              cov = true;  // what covers it is durable itself
          for (int j = k + 1; j < g.nb; j++)
            if (g.b[j].st == 2 && framed(g.b[j]) && g.b[j].sth >= b.num) cov = true;
          if (passed(g, b.num, s.curD)) cov = true;
          if ((!cov && !rotAny) || (rotFooted && !(g.fst == 2 && g.fl >= b.num))) continue;
          static const u8 what[] = {RENV, ROUT, RDEF, RSNAP, RALL};
          for (u8 w : what) {
            if (w == RENV && !b.env) continue;
            if (w == ROUT && !b.out) continue;
            if (w == RDEF && !b.def) continue;
            if (w == RSNAP && !b.snap) continue;
            S t = s;
            t.rotB--;
            t.seg[i].b[k].rt = w;
            if (w & RENV) t.lostM |= b.env;
            if ((w & RSNAP) && b.snap) t.lostM |= 1 << (b.snap >> 6 & 1);
            if (w & ROUT)
              for (int r = 0; r < NR; r++)
                if (b.out >> r & 1) {
                  bool row = false;
                  for (int q = 0; q < s.lenD && q < s.curD.len; q++)
                    if (s.rows[q] == r + 1) row = true;
                  if (!row) t.rowLost |= 1 << r;
                }
            if (!cov)
              for (int j = k; j < g.nb; j++) {
                t.lostM |= g.b[j].env;
                t.rowLost |= g.b[j].out;
              }
            emit(t, {w == RALL   ? "ROT: a whole batch of S%d cannot be read any more"
                     : w == RENV ? "ROT: a message record in S%d"
                     : w == ROUT ? "ROT: an outcome record in S%d"
                     : w == RDEF ? "ROT: a deferral in S%d"
                                 : "ROT: a snapshot in S%d",
                     i});
          }
        }
        if (g.fst == 2 && !rotFooted) {
          S t = s;
          t.rotB--;
          t.seg[i].fst = 4;
          emit(t, {"ROT: the footer of S%d", i});
        }
      }
  // ---- faults --------------------------------------------------------------
  if (evict)
    for (int i = 0; i < s.nseg; i++)
      if (s.seg[i].dir & 1) {
        const Seg& g = s.seg[i];
        if (g.hst == 3 && evictHdr) {
          S t = s;
          t.seg[i].hst = 4;
          emit(t, {"the kernel evicts the page of the header whose sync failed; the disk never had it (S%d)",
                   i});
        }
        if (g.fst == 3) {
          S t = s;
          t.seg[i].fst = 4;
          emit(t, {"the kernel evicts the footer that it could not write (S%d)", i});
        }
        if (g.fst == 1 && s.fail) {
          S t = s;
          t.fail--;
          t.seg[i].fst = 3;
          emit(t, {"the kernel fails to write the footer of S%d", i});
        }
        for (int k = 0; k < g.nb; k++)
          if (g.b[k].st == 3) {
            S t = s;
            t.seg[i].b[k].st = 4;
            emit(t, {"the kernel evicts the page of the batch whose sync failed; the disk never had it (S%d)",
                     i});
          }
      }
  if (s.crash) {
    if ((kinds & 1) && s.eng && s.rec) {
      S t = s;
      t.crash--;
      downEng(t);
      emit(t, {"ENGINE KILLED (page cache survives)", 0});
      if (killTorn)
        for (int i = 0; i < s.nseg; i++)
          if (s.seg[i].fst == 1) {
            S u = t;
            u.seg[i].fst = 4;
            emit(u, {"ENGINE KILLED in the middle of a write (torn footer of S%d)", i});
          }
      u8 q = s.Bq ? s.Bq : (s.Ast == 1 ? s.A : 0);
      if (killTorn && q && s.seg[segOf(q)].b[(q - 1) % 4].st == 1) {
        S u = t;
        slot(u, q).st = 4;
        emit(u, {"ENGINE KILLED in the middle of a write (torn batch in S%d)", segOf(q)});
        if ((q - 1) % 4 == 0 && u.seg[segOf(q)].hst == 1) {
          u.seg[segOf(q)].hst = 4;
          emit(u, {"ENGINE KILLED in the middle of a write (torn header of S%d)", segOf(q)});
        }
      }
    }
    if ((kinds & 2) && s.rec) {
      S t = s;
      t.crash--;
      downRec(t);
      emit(t, {"SUPERVISOR KILLED (page cache survives)", 0});
    }
    if (kinds & 4) powerAll(s, emit);
  }
  return moves;
}
static void dump(const S& s) {
  for (int i = 0; i < s.nseg; i++) {
    const Seg& g = s.seg[i];
    if (!g.dir) continue;
    printf("      S%d dir=%s hdr=%d pred=%d last=%x:", i,
           g.dir == 3   ? "durable"
           : g.dir == 1 ? "new"
                        : "unlinked?",
           g.hst, g.pred == NONE ? -1 : g.pred, g.last);
    for (int k = 0; k < g.nb; k++)
      printf(" [%x st%d env%x out%x def%x snap%x qs%d pu%x sth%x]", g.b[k].num, g.b[k].st, g.b[k].env,
             g.b[k].out, g.b[k].def, g.b[k].snap, g.b[k].qs, g.b[k].pu, g.b[k].sth);
    for (int k = 0; k < g.nb; k++)
      if (g.b[k].rt) printf(" rot(%x: %d)", g.b[k].num, g.b[k].rt);
    if (g.fst) printf(" footer st%d to %x", g.fst, g.fl);
    puts("");
  }
  printf("      rows:");
  for (int i = 0; i < s.lenC; i++) printf(" r%d", s.rows[i] - 1);
  printf(" (durable %d) cursor %x/%d durable %x/%d eng%d rec%d wm%x body%d\n", s.lenD, s.curC.batch,
         s.curC.len, s.curD.batch, s.curD.len, s.eng, s.rec, s.wm, s.body);
}
static void trace(u32 idx, const char* extra, Lab lab, const S* last, bool dumpIt) {
  std::vector<u32> path;
  for (u32 i = idx; i != 0; i = PAR[i]) path.push_back(i);
  std::reverse(path.begin(), path.end());
  int step = 1;
  S cur = ROOT;
  for (u32 i : path) {
    const char* sv = VIOL;
    std::string l;
    S nx;
    memset(&nx, 0, sizeof nx);
    int k = 0;
    succ(cur, [&](const S& t, Lab la) {
      if (k++ == ORD[i]) {
        char b[300];
        snprintf(b, 300, la.f, la.a);
        l = b;
        nx = t;
      }
    });
    VIOL = sv;
    cur = nx;
    printf("  %2d. %s\n", step++, l.c_str());
    if (dumpIt) dump(cur);
  }
  if (last) {
    char b[300];
    snprintf(b, 300, lab.f, lab.a);
    printf("  %2d. %s\n", step++, b);
    if (dumpIt) dump(*last);
  }
  printf("   => %s\n", extra);
}
int main(int c, char** v) {
  bool dumpIt = false;
  for (int i = 1; i < c; i++) {
    std::string a = v[i];
    size_t e = a.find('=');
    std::string k = a.substr(0, e);
    int val = e == std::string::npos ? 1 : atoi(a.c_str() + e + 1);
    if (k == "dump") {
      dumpIt = true;
      continue;
    }
    if (k == "options") {
      listOptions();
      return 0;
    }
    if (k == "fixed") {
      fDirAny = fRecDir = fRewrite = fRecWait = fUnlDir = fCurDir = fVoid = 1;
      continue;
    }
    int* o = option(k);
    if (!o) {
      fprintf(stderr, "unknown %s\n", k.c_str());
      return 2;
    }
    *o = val;
  }
  if (def || dsn) sym = 0;
  if (real) alt451late = unl451late = 1;
  S s0;
  memset(&s0, 0, sizeof s0);
  s0.crash = crash;
  s0.fail = fail;
  s0.cf = cf;
  s0.rot = rot;
  s0.defB = def;
  s0.csvF = csvFail;
  s0.qB = q;
  s0.rotB = rotm;
  s0.puB = pu;
  s0.qhome = NONE;
  s0.hold = real ? 1 : 0;
  // start: clean, empty spool, epoch 1, first segment created
  s0.rec = 1;
  s0.eng = 2;
  s0.epoch = 1;
  s0.nextn = 1;
  for (int m = 0; m < NM; m++) s0.home[m] = NONE;
  s0.nseg = 1;
  s0.seg[0].dir = 1;
  s0.seg[0].hst = 1;
  s0.seg[0].pred = NONE;
  s0.seg[0].ep = 1;
  u64 maxS = max;
  TAB.assign(1 << 16, 0);
  TMASK = TAB.size() - 1;
  u64 filled = 0;
  auto place = [&](u64 f) -> bool {
    u64 h = f & TMASK;
    while (TAB[h]) {
      if (TAB[h] == f) return false;
      h = (h + 1) & TMASK;
    }
    TAB[h] = f;
    return true;
  };
  auto fresh = [&](const S& t) -> bool {
    u64 f = hash(t);
    if (!f) f = 1;
    if (!place(f)) return false;
    if (++filled * 4 > TAB.size() * 3) {
      std::vector<u64> old(TAB.size() * 2, 0);
      old.swap(TAB);
      TMASK = TAB.size() - 1;
      for (u64 o : old)
        if (o) place(o);
    }
    return true;
  };
  std::vector<S> cur, nxt;
  ROOT = s0;
  fresh(s0);
  cur.push_back(s0);
  PAR.push_back(~0u);
  ORD.push_back(0);
  u64 trans = 0, cuts = 0, terms = 0;
  u32 depth = 0, base = 0;
  while (!cur.empty()) {
    u32 nbase = PAR.size();
    for (size_t i = 0; i < cur.size(); i++) {
      if (PAR.size() >= maxS) {
        printf("STOPPED at the bound of %llu states, depth %u, no violation so far\n",
               (unsigned long long)maxS, depth);
        return 3;
      }
      const S& s = cur[i];
      u32 id = base + i;
      if (s.cut) {
        cuts++;
        continue;
      }
      VIOL = nullptr;
      bool bad = false;
      int k = 0;
      int mv = succ(s, [&](const S& t, Lab l) {
        int o = k++;
        trans++;
        if (bad) return;
        if (VIOL) {
          bad = true;
          printf("VIOLATION after %zu states, depth %u: %s\n", PAR.size(), depth + 1, VIOL);
          std::string e = VIOL;
          S tt = t;
          trace(id, e.c_str(), l, &tt, dumpIt);
          return;
        }
        if (fresh(t)) {
          nxt.push_back(t);
          PAR.push_back(id);
          ORD.push_back(o);
        }
      });
      if (bad) return 1;
      if (mv == 0) {
        terms++;
        const char* w = nullptr;
        for (int r = 0; r < NR; r++) {
          int m = RM[r];
          bool req = s.msg[m] == 2 || (s.recd >> m & 1);
          int cnt = 0;
          for (int q = 0; q < s.lenD; q++)
            if (s.rows[q] == r + 1) cnt++;
          bool held = s.rs[r] == 6;
          bool exempt = cnt == 0 && (held || (s.lostM >> m & 1) || (s.rowLost >> r & 1));
          if (recs2 && req && cnt == 1 && !(s.rows2 >> r & 1))
            w = "I2: at rest the second accounting file lacks a row";
          if (req && cnt != 1 && !exempt)
            w = cnt ? "I2: at the end a recipient has two rows"
                    : "I2/I7: at rest an acknowledged recipient has no row";
          if (!req && cnt > 1) w = "I2: two rows";
          if (s.rs[r] == 1 || s.rs[r] == 2 || s.rs[r] == 4 || s.rs[r] == 5)
            w = "I7: at rest something is still owed";
        }
        if (s.qnext && s.eng == 2 && !s.qDead && s.qsyn != s.qnext)
          w = "at rest the last queue state is not the synced one";
        if (dsn) {
          int a = 0, b = 0;
          for (int q = 0; q < s.lenD; q++) {
            if (s.rows[q] == 1) a++;
            if (s.rows[q] == 3 || s.rows[q] == 4) b++;
          }
          if (a != b) w = "at rest outcomes and DSNs do not match";
        }
        int left = 0;
        for (int q = 0; q < s.nseg; q++)
          if ((s.seg[q].dir & 1) && q != s.cur) left++;
        bool anyHeld = false;
        for (int r = 0; r < NR; r++)
          if (s.rs[r] == 6) anyHeld = true;
        if (left && !w && !noLeft && !anyHeld) w = "I7: at rest a finished segment cannot be reclaimed";
        if (w) {
          printf("VIOLATION after %zu states, depth %u: %s\n", PAR.size(), depth, w);
          trace(id, w, {"", 0}, nullptr, dumpIt);
          if (!dumpIt) dump(s);
          return 1;
        }
      }
    }
    base = nbase;
    cur.swap(nxt);
    nxt.clear();
    depth++;
  }
  printf(
      "OK: %zu states, %llu transitions, depth %u, %llu states at rest, %llu cut by the segment bound; no "
      "violation\n",
      PAR.size(), (unsigned long long)trans, depth, (unsigned long long)terms, (unsigned long long)cuts);
  return 0;
}
