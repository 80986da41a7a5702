-- KEYS: record, waiting, group, members, parts, held, the lanes. ARGV: group.
-- Answers its mode, how much it has to do and how much of that a member has, the time of the oldest in milliseconds, or 0, and its members, of an
-- ordered group.
local group = ARGV[1]
local lag, held, oldest = 0, 0, 0
local mode, now = call('HGET', KEYS[3], 'mode') or '', clock()
local function old(id)
  local ms = tonumber(string.match(id, '%d+'))
  if oldest == 0 or ms < oldest then oldest = ms end
end
for i = 7, #KEYS do
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[i])
  for _, g in ipairs(groups.err and {} or groups) do
    local is = {}
    for j = 1, #g, 2 do is[g[j]] = g[j + 1] end
    if is['name'] == group then
      local pending = call('XPENDING', KEYS[i], group)
      if pending[1] > 0 then
        lag = lag + pending[1]
        local owner = call('HGET', KEYS[5], 'owner' .. (i - 7))
        if owner and (tonumber(call('ZSCORE', KEYS[4], owner) or 0)) > now then held = held + pending[1] end
        old(pending[2])
      end
      local next = call('XRANGE', KEYS[i], '(' .. is['last-delivered-id'], '+', 'COUNT', 1)[1]
      if next then
        old(next[1])
        local n = is['lag']
        if not n then -- the server does not know it after a deletion: they are counted, as far as that does not hold it up
          n = #call('XRANGE', KEYS[i], '(' .. is['last-delivered-id'], '+', 'COUNT', 5000)
        end
        lag = lag + n
      end
    end
  end
end
if mode ~= 'ordered' then held = call('ZCOUNT', KEYS[6], '(' .. number(now), '+inf') end
return { mode, lag, held, oldest, call('ZRANGEBYSCORE', KEYS[4], number(now), '+inf') }
