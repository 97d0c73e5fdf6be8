/* The word of whoever follows a source, and the marks of its positions (shm/source_sync.*, offer(), judge()). The source has
   versions 0 and 1, which are its positions, too; a replica is at some version that it had. A changer commits, and may announce
   what it did; the follower looks, announces what is new, marks and says until when all is announced; it may be killed, and its
   successor looks again. A filler reads the source or the replica. All depend on one stripe.
   Checked: what a reader is served has seen all that the word which it took says is announced, and all that was acknowledged
   before it began.
     -DLATEWORD     a reader takes the word after `applied`
     -DEARLYWORD    the word is said before `applied` is raised
     -DLATEBEGIN    the word is for when the look had been done
     -DNOMARK       a replica's value has its own stamp as its as_of
     -DLATEMARK     a mark's notice is read after the position
     -DANYMARK      the last mark counts, wherever the replica is
     -DNOFIRST      a replica's value is kept where no mark is known */
byte source, replica, notice_number, fence, applied, acknowledged, word;
byte mark_notice[3], mark_position[3], marks;
byte value, as_of, checked; bit there;

inline raise(n) { atomic { if :: fence < n -> fence = n :: else fi } }
inline acknowledge(version) { atomic { if :: acknowledged < version -> acknowledged = version :: else fi } }
inline say(version) { atomic { if :: word < version -> word = version :: else fi } }

proctype Changer() { byte version, n;
  do
  :: version == 1 -> break
  :: else -> atomic { source++; version = source }
     if
     :: atomic { notice_number++; n = notice_number } raise(n); atomic { applied++ } acknowledge(version)
     :: skip
     fi
  od }

proctype Replica() {
  do :: atomic { replica < source -> replica++ } :: replica == 1 -> break od }

proctype Follower() { byte begun, noted, seen, position, n, looks; bit killed;
  do
  :: looks == 2 -> break
  :: else -> looks++;
     atomic { begun = source; noted = notice_number }
     seen = source;
#ifdef LATEBEGIN
     begun = source;
#endif
     position = source;
#ifdef LATEMARK
     noted = notice_number;
#endif
#ifdef EARLYWORD
     say(begun);
#endif
     if
     :: acknowledged < seen ->
        atomic { notice_number++; n = notice_number } raise(n);
        if :: !killed -> killed = 1; goto next :: skip fi;  /* its successor looks from the beginning */
        atomic { applied++ } acknowledge(seen)
     :: else
     fi;
     atomic { if :: marks == 0 || mark_notice[marks - 1] < noted ->
                    mark_notice[marks] = noted; mark_position[marks] = position; marks++
                 :: else fi }
     say(begun);
next: skip
  od }

inline keep(version, number) {
  atomic { if :: fence > number -> skip
              :: else -> value = version; as_of = number; checked = 255; there = 1 fi } }

proctype Filler() { byte stamp, position, read, i, number; bit known;
  stamp = notice_number;
  if
  :: read = source; keep(read, stamp); goto done
  :: position = replica
  fi;
  read = replica;
  atomic {
    do
    :: i == marks -> break
#ifdef ANYMARK
    :: i < marks -> known = 1; number = mark_notice[i]; i++
#else
    :: i < marks -> if :: mark_position[i] <= position && (!known || mark_notice[i] > number) ->
                          known = 1; number = mark_notice[i]
                       :: else fi; i++
#endif
    od;
    if :: number > stamp -> number = stamp :: else fi }
#ifdef NOMARK
  known = 1; number = stamp;
#endif
#ifdef NOFIRST
  if :: !known -> known = 1; number = stamp :: else fi;
#endif
  if :: known -> keep(read, number) :: else fi;
done: skip }

proctype Reader() { byte must, said, v, a, c, e, n;
  do
  :: n == 2 -> break
  :: else -> n++;
     must = acknowledged;
     atomic { if :: !there -> goto next :: else -> v = value; a = as_of; c = checked fi }
#ifndef LATEWORD
     said = word;
#endif
     e = applied;
     if :: c == e -> goto serve :: else fi;
     if :: fence > a -> goto next :: else fi;
     atomic { if :: value == v && as_of == a -> checked = e :: else fi }
serve:
#ifdef LATEWORD
     said = word;
#endif
     assert(v >= must && v >= said);
next: atomic { must = 0; said = 0; v = 0; a = 0; c = 0; e = 0 }
  od }

init { atomic { run Changer(); run Replica(); run Follower(); run Filler(); run Reader() } }
