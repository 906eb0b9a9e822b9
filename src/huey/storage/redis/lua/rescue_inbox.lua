-- Gives back what reached the inbox of a consumer after its end. Returns how many messages.

local consumer = take()
may_exceed_memory()
if call('HEXISTS', BEATS, consumer) == 1 then
  return 0
end
return empty_inbox()
