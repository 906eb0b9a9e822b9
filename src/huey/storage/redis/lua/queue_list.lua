-- The queue as a list: producers push on the left, the next message is on the right.
-- A message is kept by its holder as it is, and goes back to the very front.

call('LLEN', QUEUE) -- fails on a wrong type before anything is written

local function push(data)
  call('LPUSH', QUEUE, data)
end

local function push_kept(kept)
  call('RPUSH', QUEUE, kept)
end

local function data_of(kept)
  return kept
end
