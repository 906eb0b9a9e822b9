-- Gives claims that did not start back to the front, without marks. The receipts come last first,
-- so that the first one ends up in front. Returns how many were still held.

may_exceed_memory()
local held = 0
while argument < #ARGV do
  local receipt = take()
  local kept = call('HGET', CLAIMS, receipt)
  if kept then
    call('HDEL', CLAIMS, receipt)
    push_kept(kept)
    held = held + 1
  end
end
return held
