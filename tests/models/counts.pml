/* Counts of a key by hours (shm/key_table.cpp): three participants count a hit each in two stripes, or two and a tool asks; the clock turns twice; one may be
   killed after any store. A window, and the ring, has two hours. Who counts looks at the clock
   once, when its operation begins, and may go on late; it finds the record's `hour` (its process may serve the same record as others).
   Checked: no hit is lost and none counted twice: the stripes' sum is what was counted, and the place of each hour that was entered holds all
   hits from before the clock turned to it and none of an operation that began in that hour or later, so that the hours part the hits; the
   use of a window has at least all hits that ended before the call and began in its hours, and none that ended before its first hour began
   (where the hour turns meanwhile, the window may be the next hour's); nobody waits for anybody.
     -DNOCHECK     no second look at `head` between the sums and the ring
     -DEARLYCHECK  that look may be done before the sums are read (counts added and summed relaxed)
     -DNOSWAP      the ring's places are stored, not compared and swapped
     -DHEADFIRST   `head` is moved before the ring is written
     -DCOUNTFIRST  a hit is counted before its hour is entered
     -DEARLYHOUR   the record's `hour` is stored before the hour is entered
     -DNOFALL      a place that was overwritten by an advance still going on is taken for the start of the window */
#define HOURS 2
#define TURNS 2
#define LAST (2 + TURNS)
#define place(h) ((h) % HOURS)
byte hour = 2;                                            /* the clock; the key was last used in the hour before */
byte head = 1, ring[HOURS], stripe[2], record_hour = 1;
byte before[LAST + 1];                                    /* hits counted when the clock turned to that hour */
byte began[LAST + 1];                                   /* hits counted so far of operations that began in it */
byte finished; bit killed;
#define sum(h) (((h) >= 2 -> began[2] : 0) + ((h) >= 3 -> began[3] : 0) + ((h) >= 4 -> began[4] : 0))    /* of hours to h */
#define maykill if :: !killed -> killed = 1; goto dead :: skip fi

inline advance() {                                        /* KeyTable::advance */
  atomic { f = head; if :: f >= h -> goto again :: else fi };
#ifdef HEADFIRST
  atomic { if :: head == f -> head = h :: else fi; maykill };
#endif
  atomic { first = (h - f >= HOURS -> h - HOURS + 1 : f + 1); was[0] = ring[0] }; was[1] = ring[1];
#ifdef EARLYCHECK
  if :: head != f -> goto again :: else fi;
#endif
  s = stripe[0]; s = s + stripe[1];
#if !defined(NOCHECK) && !defined(EARLYCHECK) && !defined(HEADFIRST)
  if :: head != f -> goto again :: else fi;
#endif
  do :: first > h -> break
     :: else -> atomic {
#ifndef NOSWAP
          if :: ring[place(first)] == was[place(first)] -> ring[place(first)] = s :: else fi;
#else
          ring[place(first)] = s;
#endif
          first++; maykill }
  od;
#ifndef HEADFIRST
  atomic { if :: head == f -> head = h :: else fi; maykill }
#endif
again: atomic { f = 0; first = 0; s = 0; was[0] = 0; was[1] = 0 } }

inline enter_hour() {                                     /* KeyTable::enter_hour; it moves on whenever another has moved `head` */
#ifdef EARLYHOUR
  record_hour = h;
#endif
  do :: head >= h -> break :: else -> advance() od;
#ifndef EARLYHOUR
  record_hour = h;
#endif
  skip }

inline count() { atomic { stripe[me % 2]++; began[h]++; maykill } }

proctype Participant(byte me; byte most) { byte hits, h, f, first, s, was[HOURS];
  do
  :: hits == most -> break
  :: else -> atomic { hits++; h = hour };
#ifdef COUNTFIRST
     count();
#endif
     if :: record_hour < h -> enter_hour() :: else fi;    /* KeyTable::count_hit */
#ifndef COUNTFIRST
     count();
#endif
     h = 0
  od;
dead: atomic { finished++; hits = 0; h = 0; f = 0; first = 0; s = 0; was[0] = 0; was[1] = 0 } }

active proctype Clock() {
  atomic { hour = 3; before[3] = sum(LAST) };
  atomic { hour = 4; before[4] = sum(LAST) } }

proctype Tool() { byte f, h, started, ended[LAST + 1], start, last, i, s;    /* KeyTable::use */
  atomic { started = hour; ended[2] = began[2]; ended[3] = began[3]; ended[4] = began[4] };
again:
  atomic { f = head; h = (started > f -> started : f); start = 0; last = 0; s = 0 };
  if :: f + HOURS <= h -> goto judge :: else fi;          /* nothing in the window */
  i = h - HOURS + 1;                                      /* window_start */
  do :: i > f -> break
     :: else -> atomic { s = ring[place(i)];
#ifdef NOFALL
          if :: i == h - HOURS + 1 -> start = s :: else fi;
#else
          if :: i == h - HOURS + 1 || s < last -> start = s :: else fi;
#endif
          last = s; i++ }
  od;
  s = stripe[0]; s = s + stripe[1];
  if :: head != f -> goto again :: else fi;
judge: atomic {                                           /* the latest window that it may be about, and the earliest */
    i = (hour > h -> hour : h);
    assert(s - start >= ended[i] + ended[i - 1]);
    assert(s - start <= sum(LAST) - before[started - HOURS + 1]);
    finished++ } }

init { byte h, f, first, s, was[HOURS];
  atomic {
    if :: run Participant(0, 1); run Participant(1, 1); run Tool()
       :: run Participant(0, 1); run Participant(1, 1); run Participant(2, 1)
    fi };
  finished == 3 && hour == LAST;
  assert(stripe[0] + stripe[1] == sum(LAST));
  killed = 1; h = LAST; advance();                        /* the next event does again what was left half done */
dead: assert(head == LAST);
  do :: h + HOURS == LAST -> break
     :: else -> assert(ring[place(h)] >= before[h] && ring[place(h)] <= sum(h - 1)); h--
  od }
