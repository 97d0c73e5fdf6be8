/* The directory of a shard with its pins (shm/directory.*, lookup.*, shard.cpp, PinScan of registry.cpp): one reader, and writers of which
   one may be killed after any store. Keys A = 1, C = 3 at home in slot 0, B = 2 in slot 1, all with one tag; four slots, and as many
   records. `rec`: what a record holds; a word is a record and the count of publications. A store of a writer to a slot lies in its store
   buffer until its next one, a fence or its unlock; whoever reads meanwhile sees the old word. What a killed writer left is retired record
   by record: that the shard goes on in another arena is the matter of rebuild.pml.
   Checked: no record is written again while a reader holds a pin on it that its re-check confirmed, none serves another key's bytes, or a
   copy of two values (R3); who begins after a put was done finds that value or a later one, or a miss that is true (R11); every
   lookup, and the writer that is not killed, gets through (no invalid end state, R1, R4).
     -DNORECHECK    the slot is not looked at again after the pin
     -DPLAINPIN     the pin's store may still be in a store buffer when the slot is looked at again (a store, or a weaker re-check)
     -DNOSCAN       a retired record is freed without a look at the cells
     -DNOFENCE      no fence between the unlinking stores and the scan
     -DNOKEY        the key is not compared after the pin
     -DNOCOUNT      the count of publications is not in the word that a copying reader compares
     -DNOMOVES      a miss is believed at once
     -DNOODD        `moves` is raised only after a shift
     -DNOHOME       a shift takes along what lies at its home
     -DOTHERSLOT    a new value is published in a free slot and the old one unlinked
     -DLATERESERVED `reserved` is cleared after the record was linked
     -DNOMUTATING   who gets the lock does not look at `mutating` */
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#define SLOTS 4
#define RECORDS 4
#define next(i) (((i) + 1) % SLOTS)
#define home(k) ((k) == 2)
#define FREE 0
#define LIVE 1
#define RETIRED 2
#ifdef NOCOUNT
#define word_of(r) (r)
#else
#define word_of(r) ((r) + 8 * publications)
#endif
#define record_of(w) ((w) % 8)
byte slots[SLOTS]; byte publications, moves;
byte key[RECORDS + 1], first[RECORDS + 1], last[RECORDS + 1];    /* of a record: its key, and both halves of its value */
byte state[RECORDS + 1];                                           /* the lock holder's lists */
byte buffered = SLOTS, buffered_word;                              /* the writer's store buffer: slot and what it will hold */
bit mutating; byte reserved;
byte pin; bit pin_waits; byte held;                                /* held: the record that the reader is entitled to */
byte newest, stored; bit there = 1, was_absent;                    /* of key B: the last value given, and the last put; was it absent for a moment */
bit killed;

/* The writer. Its own loads see its own store, so that each store to a slot first lets the last one out. */
inline drain() { buffered == SLOTS }
inline store_slot(i, w) { drain(); buffered = i; buffered_word = w }
active proctype Buffers() {
end: do
  :: d_step { buffered != SLOTS -> slots[buffered] = buffered_word; buffered = SLOTS; buffered_word = 0 }
#ifdef PLAINPIN
  :: d_step { pin_waits -> pin_waits = 0 }
#endif
  od }
#ifdef PLAINPIN
#define pinned(r) (pin == (r) && !pin_waits)
#else
#define pinned(r) (pin == (r))
#endif
#define maykill if :: !killed -> goto dead :: skip fi

inline find(k) {                                          /* Directory::find, by the lock holder: which slot has the key, or a free one */
  d_step { i = home(k); do :: slots[i] == 0 || key[record_of(slots[i])] == k -> break :: else -> i = next(i) od } }

inline free_record(r) { d_step { assert(held != r && state[r] != FREE); state[r] = FREE; key[r] = 0; first[r] = 0; last[r] = 0 } }

inline reclaim() {                                        /* ShardWriter::reclaim */
#ifndef NOFENCE
  drain();
#endif
  r = 1;
  do :: r > RECORDS -> break
     :: else ->
#ifdef NOSCAN
        if :: state[r] == RETIRED -> free_record(r)
#else
        if :: atomic { state[r] == RETIRED && !pinned(r) -> free_record(r) }
#endif
           :: else fi;
        r++
  od; r = 0 }

inline erase_at() {                                       /* Directory::erase of slot i, then retire */
  atomic { drain(); w = slots[i]; old = record_of(w); at = next(i);
    if :: key[old] == 2 -> there = 0; was_absent = 1 :: else fi;
    if :: slots[at] != 0 -> shifts = 1 :: else fi };
#ifndef NOODD
  if :: shifts -> atomic { moves++; maykill } :: else fi;
#endif
  do :: slots[at] == 0 -> break
     :: else -> d_step { w = slots[at];
#ifdef NOHOME
          n = 1
#else
          n = !((at + SLOTS - home(key[record_of(w)])) % SLOTS < (at + SLOTS - i) % SLOTS)
#endif
        };
        if :: n -> atomic { store_slot(i, w); i = at; maykill } :: else fi;
        drain(); d_step { at = next(at); n = 0; w = 0 }
  od;
  atomic { store_slot(i, 0); maykill };
  atomic { drain(); if :: shifts -> moves = moves + 1 + (moves % 2 == 0); maykill :: else fi };
  state[old] = RETIRED;
  atomic { drain(); if :: key[old] == 2 -> newest++; stored = newest :: else fi;
    d_step { old = 0; at = 0; w = 0; shifts = 0; i = 0 } } }

inline rebuild() {                                        /* Directory::clear, a fence, and everything there is condemned */
  i = 0;
  do :: i == SLOTS -> break
     :: else -> atomic { store_slot(i, 0); there = 0; was_absent = 1; i++ }; drain()
  od; i = 0;
  d_step { moves = moves + 1 + (moves % 2); reserved = 0; newest++; stored = newest;
    do :: r > RECORDS -> break :: else -> if :: r != 0 && state[r] == LIVE -> state[r] = RETIRED :: else fi; r++ od; r = 0 };
  mutating = 0 }

inline put() {                                            /* ShardWriter::put */
  mutating = 1;
  reclaim();                                              /* make_room: the allocation fails, or enough are retired */
  d_step { new = 1; do :: new > RECORDS || state[new] == FREE -> break :: else -> new++ od };
  atomic { if :: new > RECORDS -> mutating = 0; goto unlock :: else fi;
    assert(held != new); state[new] = LIVE; reserved = new; maykill };
  atomic { mutating = 0; maykill };
  d_step { key[new] = k; if :: k == 2 -> newest++; first[new] = newest :: else fi };
  atomic { last[new] = first[new]; maykill };
  mutating = 1;
#ifndef LATERESERVED
  atomic { reserved = 0; maykill };
#endif
  d_step { publications++; find(k); old = record_of(slots[i]) };
#ifdef OTHERSLOT
  if :: old != 0 -> d_step { do :: slots[i] == 0 -> break :: else -> i = next(i) od };
        atomic { store_slot(i, word_of(new)) };
        drain(); d_step { i = home(k); do :: record_of(slots[i]) == old -> break :: else -> i = next(i) od; old = 0 };
        erase_at()
     :: else -> atomic { store_slot(i, word_of(new)) } fi;
#else
  atomic { store_slot(i, word_of(new)); maykill };        /* publish */
  if :: old != 0 -> state[old] = RETIRED :: else fi;
#endif
  d_step { old = 0; i = 0; new = 0 };
  if :: reclaim() :: skip fi;
  atomic { mutating = 0; maykill };
#ifdef LATERESERVED
  reserved = 0;
#endif
  atomic { drain(); if :: k == 2 -> stored = newest; there = 1 :: else fi } }

/* All writers in turn: the lock lets in one at a time, and after the one that is killed, another. */
proctype Writer() { byte operations, k, i, r, w, at, old, new; bit shifts, n;
  do
  :: operations == OPERATIONS -> break
  :: else -> operations++;
#ifndef NOMUTATING
     if :: mutating -> rebuild()                          /* ShardWriter::recover */
        :: !mutating && reserved != 0 -> mutating = 1; free_record(reserved); reserved = 0; mutating = 0
        :: else fi;
#endif
     assert(reserved == 0);
     atomic { if :: k = 1 :: k = 2 fi };
     if :: put()
        :: find(k); if :: slots[i] != 0 -> mutating = 1; erase_at(); mutating = 0 :: else i = 0 fi
     fi;
unlock:
     atomic { drain(); k = 0; new = 0; goto next_one };
dead: atomic { drain(); d_step { killed = 1; k = 0; i = 0; r = 0; w = 0; at = 0; old = 0; new = 0; shifts = 0; n = 0 } };   /* its stores are visible to who gets the lock */
next_one: skip
  od }

#define restart tries++; if :: tries > 1 -> goto done :: else -> goto again fi   /* bounded: then a miss, `contended` */
proctype Reader(byte wanted; bit copies) { byte i, w, before, must, seen, got, was, tries;
  atomic { must = stored; was_absent = !there };
again:
  atomic { i = home(wanted); w = 0; seen = 0; got = 0; was = 0 }; before = moves;
  do
  :: atomic { w = slots[i]; if :: w == 0 -> break :: else fi };                    /* Lookup::probe */
     if :: !copies ->                                     /* Lookup::take */
           atomic { pin = record_of(w);
#ifdef PLAINPIN
             pin_waits = 1
#endif
           };
#ifndef NORECHECK
           if :: atomic { slots[i] == w -> held = pin } :: atomic { slots[i] != w -> pin = 0; pin_waits = 0 }; restart fi;
#else
           held = pin;
#endif
           assert(state[pin] != FREE);
#ifndef NOKEY
           if :: atomic { key[pin] != wanted -> held = 0; pin = 0; pin_waits = 0; w = 0; i = next(i) }; goto onwards :: else fi;
#endif
           assert(key[pin] == wanted && (wanted != 2 || first[pin] >= must && last[pin] == first[pin]));
           atomic { held = 0 }; atomic { pin = 0; pin_waits = 0 }; goto done           /* release */
        :: else ->                                        /* Lookup::take_copy: its head, then its value, then the slot again */
           d_step { seen = key[record_of(w)]; got = first[record_of(w)] };
           was = last[record_of(w)];
           if :: slots[i] != w -> restart :: else fi;
           if :: seen == wanted -> assert(wanted != 2 || got >= must && was == got); goto done :: else -> d_step { seen = 0; got = 0; was = 0; w = 0; i = next(i) } fi
     fi;
onwards: skip
  od;
#ifndef NOMOVES
  if :: moves != before || before % 2 == 1 -> restart :: else fi;      /* Lookup::probe_again */
#endif
  assert(wanted != 2 || was_absent);                          /* a miss that was believed: B was not there for a moment */
done: skip }

init {
  d_step { key[1] = 1; state[1] = LIVE; slots[0] = 1; key[2] = 2; state[2] = LIVE; key[3] = 3; state[3] = LIVE; publications = 0 }
  atomic {
    if :: slots[1] = 2; slots[2] = 3 :: slots[1] = 3; slots[2] = 2 fi;
    if :: run Reader(2, 0) :: run Reader(2, 1) fi;
    run Writer() } }
