-- Moves messages that are still scheduled, under the time that the caller has seen, to the queue or
-- to another time. Returns how many were.

may_exceed_memory()
local moved = 0
while argument < #ARGV do
  local prefix, data, seen, score, due = take(), take(), take(), take(), take()
  if unfile(prefix, data, seen) then
    moved = moved + 1
    if due ~= '' then
      file(data, due)
    else
      push(data, score)
    end
  end
end
return moved
