//! Answers what is asked: may the visitor, what does Nimbus say, how does the page look.

use std::collections::BTreeMap;

use axum::body::Body;
use serde_json::{Value, json};

use super::ask::{About, Ask, Order, Shown};
use super::nimbus::{Lent, Pool};
use super::orders::{self, Means};
use super::pages::component::Besides;
use super::pages::{self, Site, log_config, topology, visualization};
use super::trouble::Trouble;
use crate::auth::{Gate, Operation, Target};
use crate::clock;
use crate::conf::{Conf, keys};
use crate::http::body::{Bodies, Read};
use crate::http::origin::Origins;
use crate::http::visitor::Visitors;
use crate::rpc::Caller;
use crate::stats::aggregate::SystemParts;
use crate::wire::storm::{
    GetInfoOptions, NumErrorsChoice, ProfileAction, SupervisorPageInfo, TopologyInfo, WorkerSummary,
};

/// What all requests share.
pub(super) struct Ui {
    pub nimbus: Pool,
    pub gate: Gate,
    pub visitors: Visitors,
    pub origins: Origins,
    pub bodies: Bodies,
    pub site: Site,
    /// `ui.actions.enabled`.
    pub has_actions: bool,
    /// `worker.profiler.enabled`.
    pub may_profile: bool,
}

// === impl Ui ===

impl Ui {
    /// The answer to a visitor who has a name, or is nobody.
    pub async fn answer(&self, ask: &Ask, who: &Caller, body: Body) -> Result<Value, Trouble> {
        // First, since connections to Nimbus are few: who sends slowly must not hold one.
        let body = self.body(ask, body).await?;
        let mut nimbus = self.nimbus.lend().await?;
        let (operation, topology) = ask.needs();
        self.permit(&mut nimbus, who, operation, topology).await?;
        let user = who.principal.as_deref();
        let site = &self.site;
        Ok(match ask {
            Ask::Configuration => {
                let conf = nimbus.get_nimbus_conf().await?;
                Conf::from_json(&conf)?.into_map().into()
            }
            Ask::Cluster => pages::cluster::summary(&nimbus.get_cluster_info().await?, user, site),
            Ask::Nimbuses => pages::nimbus::summary(&nimbus.get_cluster_info().await?, site),
            Ask::Owners => {
                let owners = nimbus.get_owner_resource_summaries(None).await?;
                pages::owners::all(&owners, site)
            }
            Ask::Owner(owner) => {
                let found = nimbus.get_owner_resource_summaries(Some(owner)).await?;
                let topologies = nimbus.get_topology_summaries().await?;
                let found = found.into_iter().next().unwrap_or_default();
                pages::owners::one(&found, &topologies, site)
            }
            Ask::History => {
                let history = nimbus.get_topology_history(user).await?;
                json!({ "topo-history": history.topo_ids.unwrap_or_default() })
            }
            Ask::Supervisors => {
                let cluster = nimbus.get_cluster_info().await?;
                pages::supervisors::summary(&cluster.supervisors, site)
            }
            Ask::Supervisor { id, host, system } => {
                let page = nimbus
                    .get_supervisor_page_info(id.as_deref(), host.as_deref(), Some(*system))
                    .await?;
                // Nimbus knows no host, only supervisors on hosts.
                if page.supervisor_summaries.is_none() {
                    return Err(Trouble::NoSupervisor { host: host.clone() });
                }
                let page = self.without_others(&mut nimbus, who, page).await?;
                pages::supervisors::page(&page, site)
            }
            Ask::Topologies => {
                pages::topologies::summary(&nimbus.get_topology_summaries().await?, site)
            }
            Ask::Topology(id, About::Order(order)) => {
                let means = Means {
                    links: &site.links,
                    may_profile: self.may_profile,
                    body: body.as_ref().map_or(&[], |body| &body.bytes),
                };
                orders::carry_out(&mut nimbus, (id, order), means).await?
            }
            Ask::Topology(id, about) => self.about(&mut nimbus, (id, about), user).await?,
        })
    }

    async fn about(
        &self,
        nimbus: &mut Lent<'_>,
        (id, about): (&str, &About),
        user: Option<&str>,
    ) -> Result<Value, Trouble> {
        let site = &self.site;
        let asked = Some(id);
        Ok(match about {
            About::Page(shown) => {
                let window = Some(shown.window.as_str());
                let info = nimbus.get_topology_page_info(asked, window, Some(shown.system));
                topology::page(&info.await?, shown.view(user), site)
            }
            About::Workers => {
                let info = info(nimbus, id, NumErrorsChoice::None).await?;
                pages::topologies::workers(&info, site)
            }
            // Storm looks for the lag of Kafka's spouts, which are written in Java: Nimbus refuses
            // them. Of other topologies it says as much, once they are found.
            About::Lag => {
                nimbus.get_topology(asked).await?;
                json!({})
            }
            About::Streams(shown) => {
                let topology = nimbus.get_topology(asked).await?;
                visualization::streams(&topology, shown.drawing())
            }
            About::Drawing(shown) => {
                let info = info(nimbus, id, NumErrorsChoice::One).await?;
                let topology = nimbus.get_topology(asked).await?;
                visualization::page(&info, &topology, shown.drawing())
            }
            About::Component(component, shown) => {
                // Nimbus decodes it once more: scripts put the `encodedId` of a page into
                // addresses, where its `+` stands for itself.
                let (window, system) = (Some(shown.window.as_str()), Some(shown.system));
                let info = nimbus.get_component_page_info(asked, Some(component), window, system);
                let info = info.await?;
                let component = info.component_id.as_str();
                let stop = Some(ProfileAction::JprofileStop.into());
                let running =
                    nimbus.get_component_pending_profile_actions(asked, Some(component), stop);
                let running = running.await?;
                let name = info.topology_name.as_deref();
                let besides = Besides {
                    may_profile: self.may_profile,
                    profiles: &running,
                    now_ms: clock::wall_millis(),
                    metrics: &nimbus.task_metrics(name, component).await?,
                };
                pages::component::page((id, &info), besides, shown.view(user), site)
            }
            About::LogConfig => log_config::page(&nimbus.get_log_config(asked).await?),
            About::Order(_) => Value::Null,
        })
    }

    /// Of an order that has one.
    async fn body(&self, ask: &Ask, body: Body) -> Result<Option<Read<'_>>, Trouble> {
        match ask {
            Ask::Topology(_, About::Order(Order::LogConfig)) => {
                Ok(Some(self.bodies.read(body).await?))
            }
            _ => Ok(None),
        }
    }

    /// Nimbus sees the UI, which may all that its visitors may: what each of them may is held here,
    /// by Nimbus's own rules.
    async fn permit(
        &self,
        nimbus: &mut Lent<'_>,
        who: &Caller,
        operation: Operation,
        topology: Option<&str>,
    ) -> Result<(), Trouble> {
        if !self.gate.has_rules() {
            return Ok(());
        }
        let Some(id) = topology else {
            let permitted = self.gate.permit(who, operation, Target::Cluster).await;
            return Ok(permitted?);
        };
        let conf = Conf::from_json(&nimbus.get_topology_conf(Some(id)).await?)?;
        let name = conf.text_or(keys::TOPOLOGY_NAME, id)?;
        let target = Target::Topology {
            name: &name,
            conf: &conf,
        };
        Ok(self.gate.permit(who, operation, target).await?)
    }

    /// The page of a supervisor tells of a topology's workers only those who may see it; others
    /// learn that the slot is taken.
    async fn without_others(
        &self,
        nimbus: &mut Lent<'_>,
        who: &Caller,
        mut page: SupervisorPageInfo,
    ) -> Result<SupervisorPageInfo, Trouble> {
        let workers = page.worker_summaries.iter_mut().flatten();
        let mut by_topology: BTreeMap<String, Vec<&mut WorkerSummary>> = BTreeMap::new();
        for worker in workers {
            let topology = worker.topology_id.clone().unwrap_or_default();
            by_topology.entry(topology).or_default().push(worker);
        }
        for (topology, workers) in by_topology {
            let topology = Some(topology.as_str()).filter(|id| !id.is_empty());
            let operation = Operation::GetTopology;
            match self.permit(nimbus, who, operation, topology).await {
                Ok(()) => {}
                // Or it is just gone.
                Err(Trouble::Refused(_) | Trouble::Denied(_) | Trouble::NotAlive(_)) => {
                    workers.into_iter().for_each(blank);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(page)
    }
}

fn blank(worker: &mut WorkerSummary) {
    worker.topology_id = None;
    worker.topology_name = None;
    worker.owner = None;
    worker.component_to_num_tasks = None;
}

async fn info(
    nimbus: &mut Lent<'_>,
    id: &str,
    errors: NumErrorsChoice,
) -> Result<TopologyInfo, Trouble> {
    let options = GetInfoOptions {
        num_err_choice: Some(errors.into()),
    };
    let info = nimbus.get_topology_info_with_opts(Some(id), Some(&options));
    Ok(info.await?)
}

// === impl Shown ===

impl Shown {
    fn view<'a>(&'a self, user: Option<&'a str>) -> topology::View<'a> {
        topology::View {
            user,
            window: &self.window,
            now_secs: clock::wall_secs(),
        }
    }

    fn drawing(&self) -> visualization::View<'_> {
        visualization::View {
            window: &self.window,
            system: match self.system {
                true => SystemParts::Shown,
                false => SystemParts::Hidden,
            },
        }
    }
}
