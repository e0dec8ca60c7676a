"""A member of a group in each variant that is asked for, as ../README.md says.

    CLIENT BOOTSTRAP member PREFIX VARIANT...

A client's Member(bootstrap, name, variant) joins the group `name` to read the topic `name`; it is
called from one thread only and has

    poll()          {partition: (first offset, next offset)} of what came; waits a little
    commit(places)  commits {partition: next offset} and waits; an exception means that it did not
                    work. None where the client commits on its own
    assignment()    partitions
    position(p)     the offset that comes next of partition p
    close()         leaves the group
"""

import sys
import threading
import traceback

LOCK = threading.Lock()


def say(*words):
    # One write: a member that is killed may not leave half a line.
    with LOCK:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        sys.stdout.flush()


def run(new_client, prefix, variants):
    """Runs all variants until a line comes on stdin."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=guarded, args=(new_client, prefix, variant, stop), daemon=True)
        for variant in variants
    ]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    say("left")


def guarded(new_client, prefix, variant, stop):
    try:
        one(new_client(f"{prefix}-{variant}", variant), variant, stop)
    except Exception as error:  # whatever it is, the lane has to hear of it
        traceback.print_exc()
        say(variant, "failed", f"{type(error).__name__} {error}".replace("\n", " ")[:500])


def one(member, variant, stop):
    owned = None
    # What was handled and could not be committed yet, since there was a rebalance.
    pending = {}
    while not stop.is_set():
        polled = member.poll()
        now = sorted(member.assignment())
        if now != owned:
            say(variant, "assigned", ",".join(map(str, now)))
            owned = now
        for partition, (first, after) in polled.items():
            say(variant, "handled", partition, first, after)
            pending[partition] = after
        if member.commit is None or not pending:
            continue
        try:
            # What was lost and came back begins at the commit again, and so does its handling.
            pending = {partition: after for partition, after in pending.items()
                       if partition in now and member.position(partition) == after}
            if pending:
                member.commit(pending)
        except Exception as error:  # a rebalance, or a broker that is not there: go on
            print(variant, "commit:", repr(error), file=sys.stderr, flush=True)
            continue
        for partition, after in pending.items():
            say(variant, "committed", partition, after)
        pending = {}
    member.close()
