-- Who waits for a result is told: each waiter has left its list, and when it will have given up.
-- The lists are keys that no caller can declare; they share the hash tag of the queue's name.

local somebody_waits = call('HLEN', WAITS) > 0
local notify_ttl = take() -- seconds; empty: no list for the waiters of Huey 3

local function tell(key)
  if notify_ttl ~= '' then
    local list = take_declared()
    call('LPUSH', list, '1')
    call('EXPIRE', list, notify_ttl)
  end
  if not somebody_waits then
    return
  end
  local waiters = call('HGET', WAITS, key)
  if waiters then
    call('HDEL', WAITS, key)
    for list in string.gmatch(waiters, '([^\n]+) %d+\n') do
      call('RPUSH', list, key)
      call('EXPIRE', list, 60)
    end
  end
end
