-- Prolongs a place that is still held. Returns whether it is.

local member, ttl = take(), tonumber(take())
may_exceed_memory()
if not holds(member, ttl) then
  return 0
end
keep(member, ttl)
return 1
