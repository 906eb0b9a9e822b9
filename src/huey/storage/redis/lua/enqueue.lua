-- Accepts any number of messages, all at once.
-- Returns index and standing value of each whose reservation was not free.

local standing = {}
local index = 0
while argument < #ARGV do
  local value = accept()
  if value then
    standing[#standing + 1] = index
    standing[#standing + 1] = value
  end
  index = index + 1
end
return standing
