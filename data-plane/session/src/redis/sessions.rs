//! Sessions in Redis: a hash each, with a time to live, and three indexes for caps and lists.

use std::sync::Arc;

use super::cache::Observed;
use super::record::{self, FIELDS, Fields, touch_interval};
use super::touch::Touch;
use super::{Shared, keys, scripts};
use crate::clock::{millis, now};
use crate::{CountOf, NewSession, Page, PageRequest, Session, SessionId, StoreError};

/// Sessions in one round trip: a quarter of a megabyte of answers.
const BATCH: usize = 256;

/// A session as Redis holds it.
struct Loaded {
    session: Arc<Session>,
    /// When Redis last heard of a use, on this node's clock. Unix time in milliseconds.
    touched_at: u64,
    observed: Observed,
}

impl Shared {
    pub(super) fn peek(&self, id: &SessionId) -> Option<Arc<Session>> {
        let hit = self.cache.hit(id, now())?;
        if hit.touch_is_due {
            self.tell_of_use(&hit.session);
        }
        Some(hit.session)
    }

    pub(super) async fn create(&self, new: NewSession) -> Result<Arc<Session>, StoreError> {
        let up = self.link.up()?;
        let (max_per_route, now) = (new.max_per_route, now());
        let session = Arc::new(Session::begin(SessionId::random(), new, now));
        // The anonymous principal stands for many callers.
        let of_many = session.principal.is_anonymous();
        let max_per_principal = if of_many { u32::MAX } else { self.options.max_per_principal };
        let observed = self.cache.observe(&session.id, up.generation);

        let mut create = scripts::CREATE.call([&*keys::session(&session.id)]);
        create.arg(session.id.to_string()).arg(&*session.route).arg(session.principal.name());
        create.arg(record::ttl(session.idle_timeout)).arg(max_per_route).arg(max_per_principal);
        record::write(&session, &mut create);
        match self.link.ask_over::<String>(&up, &create).await?.as_str() {
            "route full" => Err(StoreError::RouteFull { route: session.route.to_string(), max: max_per_route }),
            "principal full" => Err(StoreError::PrincipalFull { max: max_per_principal }),
            _ => {
                self.cache.keep(&session, now, observed);
                Ok(session)
            }
        }
    }

    pub(super) async fn get(&self, id: &SessionId) -> Result<Option<Arc<Session>>, StoreError> {
        if let Some(session) = self.peek(id) {
            return Ok(Some(session));
        }
        let loaded = self.load(&[*id]).await?.pop().flatten();
        Ok(loaded.map(|loaded| self.serve(loaded)))
    }

    pub(super) async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Option<Arc<Session>>>, StoreError> {
        let mut found: Vec<_> = ids.iter().map(|id| self.peek(id)).collect();
        let missing: Vec<_> = ids.iter().zip(&found).filter(|(_, hit)| hit.is_none()).map(|(id, _)| *id).collect();
        let mut loaded = self.load(&missing).await?.into_iter();
        for place in found.iter_mut().filter(|place| place.is_none()) {
            *place = loaded.next().flatten().map(|loaded| self.serve(loaded));
        }
        Ok(found)
    }

    /// Reads sessions from Redis, in the order asked. From here on Redis tells of their changes.
    async fn load(&self, ids: &[SessionId]) -> Result<Vec<Option<Loaded>>, StoreError> {
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            let up = self.link.up()?;
            let observed: Vec<_> = ids.iter().map(|id| self.cache.observe(id, up.generation)).collect();
            let mut read = redis::pipe();
            for id in ids {
                let key = keys::session(id);
                read.cmd("HMGET").arg(&key).arg(&FIELDS).cmd("PTTL").arg(&key);
            }
            let records: Vec<(Fields, i64)> = self.link.ask_over(&up, &read).await?;
            for ((id, observed), (fields, ttl_left)) in ids.iter().zip(observed).zip(records) {
                all.push(loaded(*id, fields, ttl_left, observed)?);
            }
        }
        Ok(all)
    }

    /// Notes the use of a session that was read from Redis, and keeps a copy.
    fn serve(&self, Loaded { session, touched_at, observed }: Loaded) -> Arc<Session> {
        let now = now();
        session.touch(now);
        let is_due = now.saturating_sub(touched_at) >= millis(touch_interval(session.idle_timeout));
        self.cache.keep(&session, if is_due { now } else { touched_at }, observed);
        if is_due {
            self.tell_of_use(&session);
        }
        session
    }

    /// Has Redis told of a use, some time soon. If the queue is full, the next use tries again.
    fn tell_of_use(&self, session: &Session) {
        let touch = Touch { id: session.id, ttl: record::ttl(session.idle_timeout) };
        if self.touches.try_send(touch).is_err() {
            self.options.metrics.touches_deferred.increment(1);
            self.cache.touch_failed(&session.id);
        }
    }

    pub(super) async fn update(&self, session: &Session) -> Result<Arc<Session>, StoreError> {
        let up = self.link.up()?;
        let _changing = self.cache.changing(&session.id);
        let mut update = scripts::UPDATE.call([&*keys::session(&session.id)]);
        update.arg(session.id.to_string()).arg(session.revision).arg(record::ttl(session.idle_timeout));
        update.arg(FIELDS.len()).arg(&FIELDS);
        record::write_changeable(session, session.revision + 1, &mut update);
        let stored: Option<Fields> = self.link.ask_over(&up, &update).await?;
        let updated = record::read(session.id, stored.unwrap_or_default(), now())?;
        updated.map(Arc::new).ok_or(StoreError::Conflict)
    }

    pub(super) async fn delete_many(&self, ids: &[SessionId]) -> Result<usize, StoreError> {
        let mut existed = 0;
        for ids in ids.chunks(BATCH) {
            let up = self.link.up()?;
            let _changing: Vec<_> = ids.iter().map(|id| self.cache.changing(id)).collect();
            let mut delete = redis::pipe();
            for id in ids {
                delete.add_command(scripts::DELETE.call([&*keys::session(id)])).arg(id.to_string());
            }
            existed += self.link.ask_over::<Vec<usize>>(&up, &delete).await?.into_iter().sum::<usize>();
        }
        Ok(existed)
    }

    pub(super) async fn count(&self, of: CountOf<'_>) -> Result<u64, StoreError> {
        let mut count = scripts::COUNT.call([]);
        count.arg(keys::index(of));
        self.link.ask(&count).await
    }

    pub(super) async fn list(&self, page: &PageRequest) -> Result<Page, StoreError> {
        let index = keys::index(page.route.as_deref().map_or(CountOf::All, CountOf::Route));
        let (score, id) = page.cursor.as_deref().and_then(|cursor| cursor.split_once('-')).unwrap_or_default();
        let mut list = scripts::PAGE.call([]);
        list.arg(index).arg(page.size() + 1).arg(score).arg(id);
        let mut members: Vec<(String, String)> = self.link.ask(&list).await?;

        let more = members.len() > page.size();
        members.truncate(page.size());
        let ids: Vec<_> = members.iter().filter_map(|(id, _)| SessionId::parse(id).ok()).collect();
        let sessions = self.load(&ids).await?.into_iter().flatten().map(|loaded| loaded.session).collect();
        let next = members.last().filter(|_| more).map(|(id, score)| format!("{score}-{id}"));
        Ok(Page { sessions, next })
    }
}

/// Makes sense of a record and of the milliseconds it has left to live.
fn loaded(id: SessionId, fields: Fields, ttl_left: i64, observed: Observed) -> Result<Option<Loaded>, StoreError> {
    let Some(session) = record::read(id, fields, 0)? else { return Ok(None) };
    let unused = record::ttl(session.idle_timeout).saturating_sub(u64::try_from(ttl_left).unwrap_or(0));
    let touched_at = now().saturating_sub(unused);
    session.touch(touched_at);
    Ok(Some(Loaded { session: Arc::new(session), touched_at, observed }))
}
