-- Proves life, unless the consumer is not known. Gives back what a blocking move left in the inbox
-- while nobody waited for its reply. Returns consumers that are gone since a short time: what a move
-- of theirs brought after their end is in their inbox.

local consumer = take()
may_exceed_memory()
if call('HEXISTS', BEATS, consumer) == 0 then
  return false
end
call('HINCRBY', BEATS, consumer, 1)
empty_inbox()
return call('ZRANGEBYSCORE', GONE, micros() / 1000000 - 60, '+inf')
