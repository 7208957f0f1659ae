//! Accounts and identities.

use actix_web::web;
use sealpost_api::accounts::{
    ChangePassword, DeleteAccount, ExportAccount, LookUpAccount, ReadCurrentIdentity, Register, ReplaceIdentity,
};

use super::call::{Call, Reply};
use super::route::{Route, route};
use super::state::Http;

pub(super) const ROUTES: &[Route] = &[
    route!(Register, [RegisterAddress], register),
    route!(LookUpAccount, [LookupAddress, LookupAccount], look_up),
    route!(ReadCurrentIdentity, [LoginAddress, LoginAccount, LoginServer], read_current_identity),
    route!(ReplaceIdentity, [LoginAddress, LoginAccount, LoginServer, PublishAccount], replace_identity),
    route!(ChangePassword, [PasswordAccount], change_password),
    route!(DeleteAccount, [PasswordAccount], delete),
    route!(ExportAccount, [], export),
];

async fn register(http: web::Data<Http>, call: Call<Register>) -> Reply<Register> {
    Ok(web::Json(http.services.register(call.network, call.body).await?))
}

async fn look_up(http: web::Data<Http>, call: Call<LookUpAccount>) -> Reply<LookUpAccount> {
    let username = &call.arguments.username;
    Ok(web::Json(http.services.account_by_name(&call.caller, call.network, username).await?))
}

async fn read_current_identity(http: web::Data<Http>, call: Call<ReadCurrentIdentity>) -> Reply<ReadCurrentIdentity> {
    Ok(web::Json(http.services.current_identity(call.network, &call.body).await?))
}

async fn replace_identity(http: web::Data<Http>, call: Call<ReplaceIdentity>) -> Reply<ReplaceIdentity> {
    Ok(web::Json(http.services.new_identity(call.network, call.body).await?))
}

async fn change_password(http: web::Data<Http>, call: Call<ChangePassword>) -> Reply<ChangePassword> {
    Ok(web::Json(http.services.change_password(&call.caller, call.body).await?))
}

async fn delete(http: web::Data<Http>, call: Call<DeleteAccount>) -> Reply<DeleteAccount> {
    Ok(web::Json(http.services.delete_account(&call.caller, &call.body).await?))
}

async fn export(http: web::Data<Http>, call: Call<ExportAccount>) -> Reply<ExportAccount> {
    Ok(web::Json(http.services.export(&call.caller).await?))
}
