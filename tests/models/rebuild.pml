/* Rebuilding a shard onto a spare arena (shm/shard_recovery.cpp): two shards, three arenas, one reader, writers that may be killed after
   every store. An arena is one cell here: `gen` is raised when it is formatted, `used` says which shard's records are in it.
   Checked: while a reader holds a pin that its re-check confirmed, nobody formats the arena that it is in (R3); no two shards are in one
   arena; nobody waits for anybody, and a writer that is not killed gets through (no invalid end state, R1).
     -DNOOWNER     condemns the arena that the shard names, without asking whether it is still its own
     -DNOSCAN      a condemned arena becomes a spare without a look at the pins
     -DNOCLEAR     the directory is cleared only after the arena was given up
     -DNOCOUNT     the compare-and-swaps ignore the count of changes in the state
     -DONLYDEATH   `mutating` is looked at only by who is told of a death, and who repairs may give up after it marked the lock consistent */
#ifndef KILLS
#define KILLS 3
#endif
#define ARENAS 3
#define SPARE 0
#define OWNED(s) (1+(s))
#define CONDEMNED(s) (3+(s))
#define kind(a) (state[a])
byte state[ARENAS]; byte changes[ARENAS];   /* one word in the code: kind and shard, and how often it was changed */
byte gen[ARENAS]; byte used[ARENAS];        /* used: 1 + shard whose records are there */
byte arena[2]; bit closed[2]; bit mutating[2]; bit locked[2]; bit died[2];
byte dir[2];                                /* 0: empty, 1 + arena of the record that the directory leads to */
byte pin; byte held, held_gen;              /* pin cell; what the reader is entitled to: 1 + arena, and its generation */
byte kills = KILLS; bit ready, begun;      /* begun: of two writers that are alike the second is who comes later */
#define intact (held == 0 || gen[held-1] == held_gen)
#define maykill if :: mortal && kills > 0 -> kills--; goto killed :: skip fi

active proctype Monitor() {
end: do
  :: atomic { !intact -> assert(false) }
  :: atomic { (ready && mutating[0] == 0 && mutating[1] == 0 && !closed[0] && !closed[1] && arena[0] == arena[1]) -> assert(false) }
  od }

proctype Reader() { byte seen, n = 0, s;
  do
  :: n == 1 -> break
  :: else -> n++;
     seen = dir[s]; if :: seen == 0 -> goto next :: else fi;
     pin = seen;
     if :: dir[s] != seen -> pin = 0; goto next :: else fi;
     atomic { held = seen; held_gen = gen[seen-1] }
     skip;
     atomic { held = 0 }
     pin = 0;
next: seen = 0
  od }

inline release_condemned() { a = 0;
  do :: a == ARENAS -> break
     :: else -> was = state[a]; count = changes[a];
        if :: was == CONDEMNED(0) || was == CONDEMNED(1) ->
#ifndef NOSCAN
              if :: pin == 1 + a -> goto_next = 1 :: else goto_next = 0 fi;
#else
              goto_next = 0;
#endif
              if :: !goto_next -> atomic {
#ifdef NOCOUNT
                    if :: state[a] == was -> state[a] = SPARE; changes[a]++
#else
                    if :: state[a] == was && changes[a] == count -> state[a] = SPARE; changes[a]++
#endif
                       :: else fi }; maykill
                 :: else fi
           :: else fi;
        a++
  od; a = 0; was = 0; count = 0; goto_next = 0 }

inline take_spare() { fresh = ARENAS; a = 0;
  do :: a == ARENAS || fresh != ARENAS -> break
     :: else -> was = state[a]; count = changes[a];
        if :: was == SPARE -> atomic {
#ifdef NOCOUNT
              if :: state[a] == was -> state[a] = OWNED(me); changes[a]++; fresh = a
#else
              if :: state[a] == was && changes[a] == count -> state[a] = OWNED(me); changes[a]++; fresh = a
#endif
                 :: else a++ fi }
           :: else a++ fi
  od; a = 0; was = 0; count = 0 }

inline move_to_fresh() {
  release_condemned();
  take_spare(); maykill;
  if :: fresh != ARENAS ->
        gen[fresh]++; used[fresh] = 1 + me; maykill;      /* formatted */
        arena[me] = fresh; maykill;
        closed[me] = 0
     :: else closed[me] = 1 fi; maykill }

inline condemn() { a = 0;
#ifdef NOOWNER
  was = state[arena[me]]; count = changes[arena[me]];
  if :: was == OWNED(0) || was == OWNED(1) ->
        atomic { state[arena[me]] = CONDEMNED(me); changes[arena[me]] = count + 1 }
     :: else fi; maykill;
#else
  do :: a == ARENAS -> break
     :: else -> was = state[a]; count = changes[a];
        if :: was == OWNED(me) -> atomic { state[a] = CONDEMNED(me); changes[a] = count + 1 }; maykill
           :: else fi;
        a++
  od;
#endif
  a = 0; was = 0; count = 0 }

inline rebuild() {
#ifdef NOCLEAR
  condemn(); move_to_fresh(); dir[me] = 0; maykill;
#else
  dir[me] = 0; maykill;                                   /* and a fence */
  condemn(); move_to_fresh();
#endif
  mutating[me] = 0 }

proctype Writer(byte me; bit mortal; byte twin) { byte a, was, count, fresh; bit goto_next, told;
  atomic { !locked[me] && (twin != 2 || begun) -> begun = begun || twin == 1; locked[me] = 1;
#ifdef ONLYDEATH
    told = died[me]; died[me] = 0;
#endif
    skip }      /* robust: EOWNERDEAD to the next one */
  maykill;
#ifdef ONLYDEATH
  if :: told && mutating[me] -> if :: goto unlock :: rebuild() fi :: else fi;
#else
  if :: mutating[me] -> rebuild() :: else fi;
#endif
  if :: closed[me] -> mutating[me] = 1; maykill; move_to_fresh(); mutating[me] = 0 :: else fi;
  if :: closed[me] -> goto unlock :: else fi;                                  /* `rebuilding` */
  assert(!mutating[me]);
  mutating[me] = 1; maykill;
  assert(used[arena[me]] == 1 + me && state[arena[me]] == OWNED(me));
  dir[me] = 1 + arena[me]; maykill;
  mutating[me] = 0; maykill;
unlock: atomic { locked[me] = 0; a = 0; was = 0; count = 0; fresh = 0; goto_next = 0; told = 0; goto fin };
killed: atomic {
#ifdef ONLYDEATH
    died[me] = 1;
#endif
    locked[me] = 0; a = 0; was = 0; count = 0; fresh = 0; goto_next = 0; told = 0 };
fin: skip }

init {
  d_step { state[0] = OWNED(0); state[1] = OWNED(1); arena[1] = 1; used[0] = 1; used[1] = 2; dir[0] = 1; dir[1] = 2; ready = 1 }
  atomic { run Reader(); run Writer(0, 1, 1); run Writer(0, 1, 2); run Writer(1, 1, 0); run Writer(1, 0, 0); run Writer(0, 0, 0) } }
