-- The queue as a sorted set: the score is minus the priority, and the member is the message behind
-- eight bytes that grow with time, so that equal priorities keep order.
-- A message is kept by its holder behind its score, and goes back to where it was.

call('ZCARD', QUEUE) -- fails on a wrong type before anything is written

-- One token wakes one idle consumer; who leaves messages behind wakes the next.
local function ring()
  if call('LLEN', BELL) == 0 then
    call('LPUSH', BELL, '1')
  end
end

local function push(data, score)
  call('ZADD', QUEUE, score, struct.pack('>I8', sequence()) .. data)
  ring()
end

local function push_kept(kept)
  call('ZADD', QUEUE, struct.unpack('>d', kept), sub(kept, 9))
  ring()
end

local function data_of(kept)
  return sub(kept, 17)
end
