/* One slot of the registry (shm/registry.*, lock_file.*, PinScan). Process 1 has two copies of the library, which share its bytes of the lock
   file but no lock, and may run another program (a third copy, then alone); process 2 has one copy; process 3 reaps, and writes: it unlinks the
   record, scans the cell, frees. Process 1 or 2 may be killed at any step, or process 1 loses its byte (a program that closes descriptors).
   The kernel takes the byte of a dead process back some time later. In some runs a process that is long dead has left the slot, and in some
   process 3 claims in place of scanning.
   Checked: nobody clears or enters the slot while another owner is at work in it; no record is freed that a live owner has pinned (R3); an
   owner at work has its byte, unless the program dropped it (R10: its leases are its own); when all is quiet, one more turn of reaping gives
   back what the dead have left, and no process keeps the byte of a free slot (R15); nobody waits for anybody (no invalid end state, R1).
   What process 1 left before it ran another program waits for that program to claim, or for the end of the process.
     -DBYTEFIRST  the byte is taken before the word, and dropped by who finds that the word is another's
     -DNOSWAP     the word is stored, not compared and swapped
     -DNOLIVING   the word of a claimer that lives in another process is overwritten
     -DEARLYWORD  a reaper gives the word back before it drops the byte
     -DNOBYTE     who has the word does not take the byte
     -DNOPID      a free byte alone is taken for death
     -DNOTICKS    a process is known by its pid alone, and process 2 comes after 1 and has its pid
     -DCACHED     a scan asks whether the owner is dead before it reads the cell
     -DHIGHLATE   the high-water mark is raised after the first pin */
#define CLAIMING 1
#define LIVE 2
/* Copies: 1 and 2 in process 1, 5 in the program that it runs after exec, 3 in process 2, 4 in process 3, 6 in a process that is long dead. */
#define process_of(c) ((c) == 3 -> 2 : ((c) == 4 -> 3 : ((c) == 6 -> 0 : 1)))
#define at_work(c) (up[process_of(c)] && ((c) == 5) == (executed && process_of(c) == 1))
byte lock_byte;                                           /* the process that has it, to the kernel */
byte state, named, claimed_by, cell, high;                /* the slot: `named` its pid and start, `claimed_by` a copy; one of its cells */
bit linked = 1; byte held;                                /* the record, and the copy that is entitled to it */
byte owner;                                               /* the copy that is at work in the slot, or about to be */
bit up[4]; bit executed, lost; byte left; bit over;
bit scans;                                                /* process 3 scans, and the others pin; or it claims or reaps as they do */

#define mine process_of(me)
#define step if :: !at_work(me) -> goto gone :: else fi
#ifdef NOTICKS
#define is_dead(p) ((p) == 0 || !(up[p] || ((p) == 1 && up[2])))
#define is_own (named != 0 && (named == mine || (named == 1 && mine == 2)))
#else
#define is_dead(p) ((p) == 0 || !up[p])
#define is_own (named == mine)
#endif
#define is_byte_free (lock_byte == 0 || lock_byte == mine)
#define is_other_copys(w) ((w) != 0 && (w) != me && process_of(w) == mine && ((w) == 5) == (me == 5))
#ifdef NOLIVING
#define is_claimable(w) (!is_other_copys(w))
#else
#define is_claimable(w) ((w) == 0 || (w) == me || !up[process_of(w)] || (process_of(w) == mine && ((w) == 5) != (me == 5)))
#endif
#define nobody_is_at_work (owner == 0 || owner == me || !at_work(owner))

inline is_free() {                                        /* dead_for_pins, or what this process itself has left */
  atomic { step; if :: is_byte_free || is_own -> skip :: else -> goto seized fi };
#ifndef NOPID
  atomic { step; if :: is_dead(named) || is_own -> skip :: else -> goto seized fi }
#endif
}

inline seize() {                                          /* Registry::seize; `has` says whether it did */
  has = 0;
  atomic { step; before = claimed_by };
  is_free();
#ifdef BYTEFIRST
  atomic { step; if :: is_byte_free -> lock_byte = mine :: else -> goto seized fi };
  atomic { step; before = claimed_by; has = !is_other_copys(before) && (is_dead(named) || is_own) };
  if :: has -> atomic { step; if :: claimed_by == before -> claimed_by = me :: else -> has = 0 fi } :: else fi;
  if :: !has -> give_back() :: else fi;
#else
  atomic { step; if :: is_claimable(before) -> skip :: else -> goto seized fi };
#ifdef NOSWAP
  atomic { step; claimed_by = me; has = 1 };
#else
  atomic { step; if :: claimed_by == before -> claimed_by = me; has = 1 :: else -> goto seized fi };
#endif
#ifndef NOBYTE
  atomic { step; if :: is_byte_free -> lock_byte = mine :: else -> has = 0 fi };
  if :: !has -> atomic { step; claimed_by = before } :: else fi;
#endif
#endif
seized: before = 0 }

inline drop() { atomic { step; if :: lock_byte == mine -> lock_byte = 0 :: else fi } }
inline give_back() {                                      /* as it was: the byte is dropped, unless another copy has the word by now */
  atomic { step; before = is_other_copys(claimed_by) };
  if :: !before -> drop() :: else fi }

inline claim() {                                          /* Registry::claim, occupy */
  seize();
  if :: !has -> goto claimed :: else fi;
  atomic { step; assert(nobody_is_at_work); owner = me; state = CLAIMING };
  atomic { step; assert(nobody_is_at_work); cell = 0 };
#ifndef HIGHLATE
  high = 1;
#endif
  atomic { step; named = mine; state = LIVE };
claimed: skip }

inline pin() {                                            /* Lookup::take, release */
  atomic { step; if :: !linked -> goto unpinned :: else fi };
  atomic { step; cell = 1 };
  atomic { step; if :: linked -> held = me :: else fi };
#ifdef HIGHLATE
  atomic { step; high = 1 };
#endif
  atomic { step; if :: held == me -> held = 0 :: else fi };
  atomic { step; cell = 0 };
unpinned: skip }

inline reap() {                                           /* Registry::reap */
  atomic { step; if :: state == 0 || is_own -> goto reaped :: else fi };
  seize();
  if :: !has -> goto reaped :: else fi;
  atomic { step; assert(nobody_is_at_work); cell = 0 };
  atomic { step; assert(nobody_is_at_work); named = 0; owner = 0 };
#ifdef BYTEFIRST
  atomic { step; claimed_by = 0 };
  atomic { step; state = 0 };
  give_back();
#elif defined(EARLYWORD)
  atomic { step; state = 0 };
  atomic { step; claimed_by = 0 };
  drop();
#else
  atomic { step; state = 0 };
  drop();
  atomic { step; claimed_by = 0 };
#endif
reaped: has = 0; before = 0 }

proctype Copy(byte me; bit reaps) { byte before; bit has;
  if :: me == 5 -> (executed || over) :: else fi;
#ifdef NOTICKS
  if :: me == 3 -> (!up[1] || over) :: else fi;
#endif
  if :: claim(); if :: has && scans -> pin() :: else fi
     :: reaps -> reap()
  fi;
gone: atomic { left--; before = 0; has = 0; if :: held == me -> held = 0 :: else fi } }

proctype Writer() { byte me = 4, c, before; bit has, dead;
  if :: scans -> skip :: else -> if :: reap() :: claim() fi; goto kept fi;
#ifdef CACHED
  dead = lock_byte == 0; if :: dead -> dead = is_dead(named) :: else fi;
#endif
  linked = 0;                                             /* ShardWriter::reclaim: unlinked, a fence, PinScan */
  if :: high == 0 -> goto free :: else c = cell fi;
  if :: c == 0 -> goto free :: else c = 0 fi;
#ifndef CACHED
  dead = lock_byte == 0;
#ifndef NOPID
  if :: dead -> dead = is_dead(named) :: else fi;
#endif
#endif
  if :: dead -> goto free :: else -> goto kept fi;
free: assert(held == 0 || !at_work(held));
kept: dead = 0;
  over && left == 0 && (lock_byte == 0 || up[lock_byte]);      /* all is quiet, and the kernel has tidied up */
  reap();
  if :: owner != 0 && at_work(owner) ->
        assert(claimed_by == owner && named == process_of(owner) && (lost || lock_byte == process_of(owner)) && (state == LIVE || executed))
     :: else -> assert(executed && up[1] && (process_of(claimed_by) == 1 || named == 1) || state == 0 && cell == 0 && lock_byte == 0)
  fi;
gone: skip }

proctype Nemesis() {
  if :: up[1] = 0 :: up[2] -> up[2] = 0
     :: !up[2] -> atomic { executed = 1; if :: lock_byte == 1 -> lock_byte = 0 :: else fi }
     :: atomic { lost = 1; if :: lock_byte == 1 -> lock_byte = 0 :: else fi }
     :: skip
  fi;
  over = 1 }
active proctype Kernel() {
end: do :: atomic { lock_byte != 0 && !up[lock_byte] -> lock_byte = 0 } od }

init {
  atomic { up[1] = 1; up[3] = 1;
    if :: scans = 1 :: skip fi;
    if :: skip
       :: claimed_by = 6; state = LIVE; cell = 1; high = 1
    fi;
    if :: run Copy(2, 1); run Copy(5, 0); left = 3 :: run Copy(3, 1); up[2] = 1; left = 2 fi;
    run Copy(1, 0); run Writer(); run Nemesis() } }
