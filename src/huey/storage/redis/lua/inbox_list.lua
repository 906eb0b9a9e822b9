-- Taking messages from a list: a blocking move puts one into the consumer's inbox, where it is safe
-- until the next call, even if nobody hears of it.

-- What a blocking move left in the inbox was taken before anything that is still in the queue.
local function pop(count)
  local taken = call('RPOP', INBOX, count) or {}
  if #taken < count then
    for _, data in ipairs(call('RPOP', QUEUE, count - #taken) or {}) do
      taken[#taken + 1] = data
    end
  end
  return taken
end

-- Gives back what no consumer has seen yet; returns how many messages that were.
local function empty_inbox()
  local count = 0
  local data = call('LPOP', INBOX)
  while data do
    call('RPUSH', QUEUE, data)
    count = count + 1
    data = call('LPOP', INBOX)
  end
  return count
end
