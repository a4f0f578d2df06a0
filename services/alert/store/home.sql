-- Home tabs in Slack: who looks, and what is shown.

-- name: home_opened
-- Slack shows what was published last until something else is: after an opening it is published anew.
insert into alert.home_tabs (member) values (%(member)s)
on conflict (member) do update set opened_at = alert.now(), shows = null

-- name: home_watched
-- Those whose tab may be on a screen and was not published a moment ago.
select member, shows from alert.home_tabs
where opened_at > alert.now() - make_interval(secs => %(seconds)s)
  and (published_at is null or shows is null
       or published_at < alert.now() - make_interval(secs => %(apart)s))
order by published_at nulls first limit %(limit)s

-- name: home_take
-- Whoever changes the row publishes; another replica finds it changed.
update alert.home_tabs set shows = %(shows)s, published_at = alert.now()
where member = %(member)s and shows is distinct from %(shows)s
returning member

-- name: home_failed
update alert.home_tabs set shows = null where member = %(member)s and shows = %(shows)s

-- name: home_forget
delete from alert.home_tabs
where opened_at < alert.now() - make_interval(secs => %(seconds)s)
