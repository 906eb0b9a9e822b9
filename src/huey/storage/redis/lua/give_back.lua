-- Gives messages back to the front of the queue, of those receipts that are still held. They come
-- last first, so that the first one ends up in front; what a blocking move left in the inbox was
-- taken after all of them. Whoever died leaves a crash mark on each message that it had seen.
-- Returns how many were held, and how many were in the inbox.

local mark, cause = take(), take()
may_exceed_memory()
local unseen = empty_inbox()
local alone = call('HGET', TURNS, 'held') == '1'
local held = 0
while argument < #ARGV do
  local receipt = take()
  local kept = call('HGET', CLAIMS, receipt)
  if kept then
    call('HDEL', CLAIMS, receipt)
    if mark == 'crash' then
      mark_crash(data_of(kept), alone, cause)
    end
    push_kept(kept)
    held = held + 1
  end
end
return {held, unseen}
