-- Answers that people write in Presence, and what delivery and cards ask about them.

-- name: answer_add
-- The same form sent twice is one answer.
insert into alert.answers (id, request, episode, item_id, lane, text, private, author, approved_by,
    state, through, seen_until, made_at, send_at, expires_at)
values (%(id)s, %(request)s, %(episode)s, %(item)s, %(lane)s, %(text)s, %(private)s, %(author)s,
    %(approved_by)s, %(state)s, %(through)s, %(seen_until)s, %(made_at)s, %(send_at)s, %(expires_at)s)
on conflict (request) do nothing
returning id

-- name: answer_of_request
select * from alert.answers where request = %(request)s

-- name: answer_by_id
select * from alert.answers where id = %(id)s

-- name: answer_episode
select episode from alert.answers where id = %(id)s

-- name: answer_put
update alert.answers set state = %(state)s, text = %(text)s, approved_by = %(approved_by)s,
    send_at = %(send_at)s, expires_at = %(expires_at)s, sent_at = %(sent_at)s, told_at = %(told_at)s,
    says = %(says)s, permalink = %(permalink)s, posted_item_id = %(posted_item_id)s,
    until = %(until)s, settled_by = %(settled_by)s
where id = %(id)s

-- name: answers_under_way
select author from alert.answers
where episode = %(episode)s and state in ('review', 'pending', 'sent', 'limited') and id <> all(%(but)s::uuid[])
order by made_at

-- name: answers_due
-- What is to be sent, and what nobody told the end of.
select id from alert.answers
where (state = 'pending' and send_at <= alert.now())
   or (state in ('sent', 'limited') and expires_at < alert.now() - make_interval(secs => %(no_word)s))
order by send_at limit 50

-- name: answers_same_text
select count(*) as sent from alert.answers a
join alert.episodes e on e.id = a.episode
where a.made_at > alert.now() - interval '1 hour' and lower(btrim(a.text)) = lower(btrim(%(text)s))
  and e.brand = %(brand)s and a.state not in ('undone', 'rejected', 'stopped', 'refused')

-- name: draft_put
insert into alert.drafts (episode, person, until)
values (%(episode)s, %(person)s, alert.now() + make_interval(secs => %(seconds)s))
on conflict (episode, person) do update set until = excluded.until

-- name: draft_drop
delete from alert.drafts where episode = %(episode)s and person = %(person)s

-- name: drafts_of
select person from alert.drafts
where episode = %(episode)s and until > alert.now() and person <> %(but)s order by person

-- name: heard_in_private
-- When the person last wrote to this account in private: reply windows count from it.
select max(source_time) as at from alert.items
where platform = %(platform)s and account_id = %(account)s and author_id = %(person)s and private
  and inbound

-- name: line_add
insert into alert.lines (episode, at, kind, by, says, words, private, url, mention, answer)
values (%(episode)s, %(at)s, %(kind)s, %(by)s, %(says)s, %(words)s, %(private)s, %(url)s, %(mention)s,
    %(answer)s)
returning id

-- name: lines_by_ids
select l.*, a.state as answer_state from alert.lines l
left join alert.answers a on a.id = l.answer where l.id = any(%(ids)s::uuid[])

-- name: lines_of_answer
select id from alert.lines where answer = %(answer)s

-- name: thread_post_put
insert into alert.thread_posts (episode, destination, target, channel, message)
values (%(episode)s, %(destination)s, %(target)s, %(channel)s, %(message)s)
on conflict (episode, destination, target) do update set
    channel = excluded.channel, message = excluded.message

-- name: thread_posts_of
select episode, destination, target, channel, message from alert.thread_posts
where episode = any(%(episodes)s::uuid[])

-- name: lines_again
-- What a posted line says has changed: it is drawn anew in its place.
update alert.outbox o set
    wanted = o.wanted + 1,
    state = case when o.state = 'leased' then 'leased' else 'pending' end,
    due_at = case when o.state = 'leased' then o.due_at else alert.now() end,
    attempt = case when o.state = 'leased' then o.attempt else 0 end,
    first_tried_at = case when o.state = 'leased' then o.first_tried_at else null end
where o.purpose = 'thread' and o.target = any(%(targets)s) and (o.state = 'leased' or exists (
    select from alert.thread_posts p
    where p.episode = o.episode and p.destination = o.destination and p.target = o.target))

-- name: doing_of_episodes
-- What stands on a card beside its state: answers on their way, a snooze, promises.
select a.episode, a.state as kind, a.author as who, a.says, a.id as ref,
       case a.state when 'pending' then a.send_at when 'limited' then a.until end as at, a.made_at
from alert.answers a
where a.episode = any(%(ids)s::uuid[])
  and (a.state in ('review', 'pending', 'sent', 'limited', 'unknown')
       or (a.state in ('refused', 'stopped') and not exists (
             select from alert.answers later
             where later.episode = a.episode and later.made_at > a.made_at)))
union all
select s.episode, 'snoozed', s.by, null, null, s.until, s.at
from alert.snoozes s where s.episode = any(%(ids)s::uuid[]) and s.until > alert.now()
union all
select p.episode, 'promised', p.by, p.what, p.id, p.due_at, p.made_at
from alert.promises p where p.episode = any(%(ids)s::uuid[]) and p.kept_at is null
union all
select e.id, 'linked', c.by, null, null, c.answered_at, c.at
from alert.episodes e join alert.closes c on c.conversation = e.conversation
where e.id = any(%(ids)s::uuid[]) and e.reason = 'answered' and c.reason = 'answered'
  and c.undone_at is null and coalesce(c.answered_at, c.at) = e.ended_at
order by made_at
