/* get_or_compute of one key (shm/leases.cpp, computing.cpp, publish() of storing.cpp): three callers, one lease slot, one record. In each run one
   thing goes wrong, at any step: caller 1 is killed after a store; or it is stopped while it computes, past its deadline, for good or to go on
   when its lease may be another's; or a computation fails; or caller 3 gives up waiting and computes without a lease. The source changes
   twice, each time with a notice (fences.pml has the rest of those).
   Checked: who asks after a notice was acknowledged is served nothing from before it (R11); of those that hold a lease, live and are in
   time, one computes at a time, and not what its own look could have found; a dead or late holder is replaced; nobody waits for a third
   computation (R10); no invalid end state.
     -DNOCURRENT     a holder publishes without asking whether its lease is current
     -DEARLYCURRENT  it asks before it enters the shard's section
     -DNOTOKEN       a holder ends the lease without asking whether it is its own
     -DNOLOOK        a holder computes without looking again
     -DNOARRIVAL     a waiter takes a fenced value whatever its as_of
     -DNOWAITERS     what is fenced by the time it is stored is not published for those who wait
     -DLATESTAMP     as_of is read after the source
     -DNODEATH       a waiter does not ask whether the holder is dead
     -DNODEADLINE    nor whether it is late
     -DNOINCARNATION a holder is dead when its registry slot is nobody's, whoever had it
     -DNOPOLL        a waiter sleeps until it is woken
     -DEARLYHELD     a lease's state is stored before its holder */
#define KILL 1                                            /* what may happen besides: a kill, a stop, a failure, giving up */
#define STOP 2
#define FAIL 3
#define IMPATIENCE 4
#define FREE 0
#define HELD 1
#define DONE 2
#define FAILED 3
byte source, notice, fence, acknowledged;
byte state, token, holder, word; bit late;                /* the lease; late: past its deadline */
byte section;                                             /* who is in the shard's section */
bit there; byte value, as_of;                             /* the record */
byte nemesis; bit killed; byte woken;
byte computing;                                           /* callers with a lease, as bits */
byte ended;                                               /* 1 + the highest as_of of a computation that ended its own lease */
#define alive (there && fence <= as_of)
#define maykill if :: nemesis == KILL && me == 1 -> goto dead :: skip fi
#if defined(NODEATH) || defined(NOINCARNATION)
#define is_dead(h) 0                                      /* the slot of who was killed is another process's at once */
#else
#define is_dead(h) ((h) == 1 && killed)
#endif
#ifdef NODEADLINE
#define overdue 0
#else
#define overdue late
#endif

/* The sections of the group's lock, one step each: who is killed inside leaves what it had stored, and the lock to the next. Outside it only
   is_current() looks, and what is half stored is current to nobody. */
inline take() {                                           /* Leases::acquire, try_acquire, grant */
  saw_dead = 0;
asked:
  atomic {
    if :: state == HELD && !overdue && saw_dead != token -> waits_for = token; by = holder; seen = word
       :: else -> mine = token + 1; waits_for = 0; by = 0; seen = 0; saw_dead = 0;
          if :: state != HELD -> state = FREE; maykill :: else fi;
#ifdef EARLYHELD
          state = HELD; maykill;
#endif
          token = mine; maykill;
          holder = me; maykill;
          late = 0; word++; maykill;
          state = HELD; had = (alive -> 1 + as_of : 0); maykill
    fi };
  if :: mine == 0 && saw_dead == 0 && is_dead(by) -> saw_dead = waits_for; goto asked :: else saw_dead = 0 fi }

inline end_lease(outcome, done) {                         /* Leases::release, finish */
  atomic {
#ifndef NOTOKEN
    if :: state != HELD || token != mine -> goto served :: else fi;
#endif
    word++; maykill;
    state = outcome; if :: ended < done -> ended = done :: else fi; maykill };
#ifdef NOPOLL
  atomic { woken++; goto served }                         /* futex_wake */
#else
  goto served
#endif
}

inline publish() {                                        /* CacheImpl::publish, ShardWriter::put, settle */
#ifdef EARLYCURRENT
  current = mine == 0 || (state == HELD && token == mine);
#endif
  atomic { !section -> section = me };
#if defined(NOCURRENT)
  current = 1;
#elif !defined(EARLYCURRENT)
  current = mine == 0 || (state == HELD && token == mine);
#endif
  atomic { refused = 0; section = 0;
    if :: !current || (alive && as_of > stamp) -> skip    /* older */
       :: else -> refused = fence > stamp;
#ifdef NOWAITERS
          if :: !refused -> there = 1; value = got; as_of = stamp :: else fi
#else
          if :: !refused || mine != 0 -> there = 1; value = got; as_of = stamp :: else fi
#endif
    fi; maykill };
  if :: refused -> atomic { if :: fence < stamp + 1 -> fence = stamp + 1 :: else fi; maykill } :: else fi }

proctype Caller(byte me) {
  byte must, arrival, seen, mine, waits_for, by, saw_dead, stamp, got, had; bit current, refused;
  atomic { must = acknowledged; arrival = notice };
  atomic { if :: alive -> assert(value >= must); goto served :: else fi };
  do
  :: take();
     if :: mine != 0 -> break :: else fi;
     if :: atomic { nemesis == IMPATIENCE && me == 3 -> nemesis = 0; goto compute } :: skip fi;      /* at its own deadline */
#ifdef NOPOLL
     by = woken; if :: word == seen -> woken != by :: else fi;
#else
     (word != seen || is_dead(by) || overdue);            /* Leases::wait: woken, or the next step of 10 ms */
#endif
     atomic {                                             /* look_again */
#ifdef NOARRIVAL
       if :: there -> assert(value >= must); goto served :: else fi;
#else
       if :: alive || (there && as_of >= arrival) -> assert(value >= must); goto served :: else fi;
#endif
       assert(ended <= arrival) };                        /* nothing has ended that began after it asked */
     atomic { if :: state == FAILED && token == waits_for -> goto served :: else waits_for = 0; by = 0; seen = 0 fi }      /* observe */
  od;
#ifndef NOLOOK
  atomic { if :: alive || (there && as_of >= arrival) -> assert(value >= must) :: else -> goto compute fi };
  end_lease(DONE, 0);
#endif
compute:
  atomic { if :: mine != 0 -> assert(computing == 0 && !(alive && had == 1 + as_of)); computing = 1 << me :: else fi;
#ifdef LATESTAMP
    got = source };
  stamp = notice;
#else
    stamp = notice };
  got = source;
#endif
  atomic { if :: nemesis == STOP && me == 1 && mine != 0 && token == mine -> nemesis = 0; late = 1; computing = 0;
                 if :: skip :: goto end_stopped fi        /* for a while, or for good */
              :: maykill fi };
  atomic { if :: mine != 0 -> computing = computing & ~(1 << me) :: else fi };
  if :: publish()
     :: atomic { nemesis == FAIL && mine != 0 -> nemesis = 0 }; end_lease(FAILED, 0)
  fi;
  if :: mine != 0 -> end_lease(DONE, stamp + 1) :: else fi;
  goto served;
dead: atomic { killed = 1; nemesis = 0; computing = computing & ~(1 << me); if :: section == me -> section = 0 :: else fi; goto served };
end_stopped: (0);
served: skip }

proctype Changer() { source = 1; atomic { notice = 1; fence = 1; acknowledged = 1 };
  source = 2; atomic { notice = 2; fence = 2; acknowledged = 2 } }

init { atomic {
    if :: nemesis = KILL :: nemesis = STOP :: nemesis = FAIL :: nemesis = IMPATIENCE fi;
    run Caller(1); run Caller(2); run Caller(3); run Changer() } }
