"""Redis and Valkey: lists or sorted sets as queues, one hash or expiring keys for data.

==============  =================================================================================
`storages`      the four classes; they join the parts below
`connecting`    from the constructor's arguments to a pool
`wire`          the one place that talks to the server; `errors` translates what goes wrong there,
                and `alarm` ends the waiting of another thread
`scripts`       the Lua scripts under ``lua/``, put together from parts and sent when needed
`names`         every key
`core`          what the parts share: how a script is run, and how things are written
`classic`       the queue, schedule, data and counters of ``storage/base.py``
`priority`      the queue as a sorted set instead of a list
`expiring`      data as keys of their own instead of one hash
`producing`     accepting messages
`presence`      consumers: sign on, beat, recover
`claiming`      claim, wait, release
`settling`      what follows from a task
`clockwork`     the schedule and periodic ticks; `instants` are its scores
`waiting`       waiting for results
`guarding`      locks, semaphores, rate limits
`letters`       dead letters, and sweeping
`checking`      is the server fit for a queue?
==============  =================================================================================
"""
