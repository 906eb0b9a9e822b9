-- Accepts one outgoing message: to the queue or the schedule, if its reservation can be had.

local function accept()
  local data, score, due, attempt = take(), take(), take(), take()
  local standing = false
  if take() == 'reserve' then
    local key, value, ttl, revocation, flag = take_key(), take(), take(), take(), take()
    standing = get(key)
    if standing == value then
      standing = false
    elseif standing and revocation == '' then
      return standing
    elseif standing then
      -- Which key this is, only the standing value tells; it shares the hash tag of the others.
      put(revocation .. standing, flag)
    end
    put(key, value, ttl)
  end
  if attempt ~= '1' then
    begin_at(data, attempt)
  end
  if due ~= '' then
    file(data, due)
  else
    push(data, score)
  end
  return standing
end
