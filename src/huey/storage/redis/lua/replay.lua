-- Moves a dead letter back to the queue, its marks forgotten. Returns whether it was there.

local key, score = take(), take()
may_exceed_memory()
local letter = call('HGET', LETTERS, key)
if not letter then
  return 0
end
call('HDEL', LETTERS, key)
call('ZREM', DEAD, key)
-- The message follows the line that says why it died.
local data = sub(letter, string.find(letter, '\n', 1, true) + 1)
call('HDEL', MARKS, mark_name(data))
push(data, score)
return 1
