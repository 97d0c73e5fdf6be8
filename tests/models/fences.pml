/* Notices and fences (shm/fences.cpp): a source with versions 0, 1, 2; two changers commit and announce; a filler reads as_of, then the
   source, then stores, however late; a reader remembers in the record at which `applied` its fence was last found low. All depend on
   one stripe. A changer may be killed after any step; then the same change is announced again (the relay still has its row).
   Checked: who begins to read after a change was acknowledged is not served an older version (R11), nor, after a put was refused, a
   value as old as that.
     -DNOCHECK      readers do not look at the fence
     -DLATESTAMP    as_of is read after the source
     -DNUMBERCHECK  readers remember the notice number in place of `applied`
     -DEARLYAPPLIED `applied` is raised before the fence
     -DEARLYOK      ok is said before the fence is raised
     -DNOMAXIMUM    a fence is set, not raised
     -DNOOVERTAKE   a put that is refused leaves the older value where an announcer died between fence and `applied` */
byte source, notice_number, fence, applied, acknowledged;
byte value, as_of, checked; bit there, begun; byte refused;   /* refused: 1 + the highest as_of of a put that was told so */

inline raise(n) {                                         /* a compare-and-swap that gives up at a higher number */
#ifdef NOMAXIMUM
  fence = n;
#else
  atomic { if :: fence < n -> fence = n :: else fi }
#endif
}

proctype Changer(bit mortal) { byte version, n; bit again;
  atomic { source++; version = source }
announce:
  atomic { notice_number++; n = notice_number }
  if :: mortal && !again -> again = 1; goto announce :: skip fi;
#ifdef EARLYOK
  atomic { if :: acknowledged < version -> acknowledged = version :: else fi }
#endif
#ifdef EARLYAPPLIED
  applied++;
#endif
  raise(n);
  if :: mortal && !again -> again = 1; goto announce :: skip fi;
#ifndef EARLYAPPLIED
  atomic { applied++ }
#endif
  atomic { if :: acknowledged < version -> acknowledged = version :: else fi; version = 0; n = 0; again = 0 } }

proctype Filler(bit second) { byte stamp, read;           /* they are alike: let the second be who begins later */
#ifdef LATESTAMP
  atomic { !second || begun -> read = source; begun = 1 }; stamp = notice_number;
#else
  atomic { !second || begun -> stamp = notice_number; begun = 1 }; read = source;
#endif
  if :: fence > stamp ->                                  /* refused: what is there must not be served either */
#ifndef NOOVERTAKE
        raise(stamp + 1); atomic { applied++ };
#endif
        atomic { if :: refused < stamp + 1 -> refused = stamp + 1 :: else fi; stamp = 0; read = 0 }
     :: else -> atomic { value = read; as_of = stamp; checked = 255; there = 1; stamp = 0; read = 0 } fi }

proctype Reader() { byte must, least, v, a, c, e, n;
  do
  :: n == 2 -> break
  :: else -> n++;
     atomic { must = acknowledged; least = refused }
     atomic { if :: !there -> goto next :: else -> v = value; a = as_of; c = checked fi }
#ifdef NUMBERCHECK
     e = notice_number;
#else
     e = applied;
#endif
     if :: c == e -> goto serve :: else fi;
#ifndef NOCHECK
     if :: fence > a -> goto next :: else fi;
#endif
     atomic { if :: value == v && as_of == a -> checked = e :: else fi }
serve: assert(v >= must && a >= least);
next: atomic { must = 0; least = 0; v = 0; a = 0; c = 0; e = 0 }
  od }

init { atomic { run Changer(1); run Changer(0); run Filler(0); run Filler(1); run Reader() } }
